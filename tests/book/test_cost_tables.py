"""Tables and figures of the cost model, from invented benchmarks and from the committed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from companion.book import cost_tables
from companion.studies.benchmark_results import load_benchmarks
from companion.studies.cost_model import WORK

ROOT = Path(__file__).parents[2]
MADE = {
    "cost": {
        "seconds": dict.fromkeys(WORK, 0.01),
        "matmul_rate": 1e11,
        "probes": [{"probe": "a", "seconds": 1.0, "fitted": 1.1}],
        "runs": [
            {
                "run": "efsgd",
                "predicted": 120.0,
                "measured": 100.0,
                "training_seconds": 60.0,
                "g2r_cnn": 0.8,
            }
        ],
    }
}


def test_forecasts_are_compared_with_measurements() -> None:
    row = cost_tables.forecast_table(MADE).loc["efsgd"]
    assert row["predicted (min)"] == 2.0 and row["ratio"] == 1.2
    assert row["of it training (min)"] == 1.0 and row["g2r (CNN)"] == 0.8
    lines = cost_tables.forecast_figure(MADE).axes[0].lines
    assert [(*line.get_xdata(), *line.get_ydata()) for line in lines[:2]] == [(1, 1.1), (100, 120)]


def test_curves_rise_with_what_costs() -> None:
    for axis in cost_tables.cost_curves(MADE).axes:
        seconds = axis.lines[0].get_ydata().tolist()  # type: ignore[union-attr]
        assert seconds == sorted(seconds) and seconds[0] > 0


def test_without_benchmarks_the_pages_are_empty_but_whole() -> None:
    assert cost_tables.forecast_table({}).empty and cost_tables.time_table({}).empty
    assert not cost_tables.forecast_figure({}).axes[0].lines
    assert not any(axis.lines for axis in cost_tables.cost_curves({}).axes)


def test_a_large_run_differs_from_quick_only_in_size() -> None:
    config = cost_tables.large(64, 30_000)
    assert config.image_shape == (3, 64, 64) and config.contribution.basis_modes == 32
    assert (config.privacy.num_records, config.privacy.num_shards) == (1_000_000, 30_000)
    table = cost_tables.memory_table()
    kept = table.drop(columns=["all", "critics of a round"])
    assert kept.sum(axis=1).tolist() == pytest.approx(table["all"].tolist(), abs=0.2)
    by_shards = table["critics and their Adam moments"].loc["3x64x64"]
    assert by_shards[30_000] == pytest.approx(30 * by_shards[1_000], rel=0.05)
    hours = cost_tables.time_table(MADE)["train (h)"]
    assert hours["3x128x128", 30_000] > hours["3x64x64", 30_000] > hours["3x64x64", 1_000]


def test_the_committed_forecasts_cover_runs_that_were_not_fitted() -> None:
    table = cost_tables.forecast_table(load_benchmarks(ROOT / "results"))
    assert len(table) >= 3 and (table["measured (min)"] > 0).all()
