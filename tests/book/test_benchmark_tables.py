"""Tables of the benchmarks, from invented figures and from the committed ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from companion.book import benchmark_tables
from companion.book.tables import MISSING
from companion.studies.benchmark_results import BENCHMARKS_FILE, load_benchmarks

ROOT = Path(__file__).parents[2]
MADE = {
    "loop": [
        {
            "device": device,
            "critic": "mlp",
            "width": 64,
            "batched_seconds": 0.01,
            "loop_seconds": 0.1,
            "ratio": 10.0,
            "loop_share_of_matmul": 0.05,
        }
        for device in ("cpu", "cuda")
    ],
    "optimizers": [
        {
            "memory": True,
            "parameters": 17000,
            "ours_seconds": 0.003,
            "opacus_seconds": 0.002,
            "ratio": 1.5,
        }
    ],
    "ranks": [
        {"cohort": 100, "one_rank_seconds": 0.4, "two_ranks_seconds": 0.25, "ratio": 1.6},
    ],
    "grid": [
        {
            "critic": "mlp",
            "image": "1x28x28",
            "shards": 250,
            "cohort": n,
            "step_seconds": n / 1e4,
            "peak_gigabytes": 1.0,
        }
        for n in (10, 100)
    ],
}
TABLES = (
    benchmark_tables.loop_table,
    benchmark_tables.optimizer_table,
    benchmark_tables.ranks_table,
    benchmark_tables.cost_table,
)


def test_tables_show_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / BENCHMARKS_FILE).write_text(json.dumps(MADE))
    found = load_benchmarks(tmp_path)
    loop, optimizer, ranks, cost = (table(found) for table in TABLES)
    assert loop.loc["mlp, width 64", ["batched (ms)", "ratio", "goal"]].tolist() == [10, 10, 8]
    assert loop.loc["mlp, width 64, GPU", "goal"] == 30
    assert optimizer.loc["17,000 weights, with memory", "ratio"] == 1.5
    assert ranks.loc[100, "ratio"] == 1.6 and cost["step (s)"].tolist() == [0.001, 0.01]
    (line,) = benchmark_tables.cost_curve(found).axes[0].lines
    assert line.get_ydata().tolist() == [0.001, 0.01]


def test_nothing_measured_is_no_error(tmp_path: Path) -> None:
    assert load_benchmarks(tmp_path) == {}
    assert all(table({}).empty for table in TABLES)
    assert not benchmark_tables.cost_curve({}).axes[0].lines


def test_committed_ratios_are_those_of_the_committed_times() -> None:
    found = load_benchmarks(ROOT / "results")
    assert all(found[part] for part in ("loop", "optimizers", "ranks", "grid"))
    for row in found["loop"]:
        assert row["ratio"] == pytest.approx(row["loop_seconds"] / row["batched_seconds"])
    for row in found["optimizers"]:
        assert row["ratio"] == pytest.approx(row["ours_seconds"] / row["opacus_seconds"])
    for row in found["ranks"]:
        assert row["ratio"] == pytest.approx(row["one_rank_seconds"] / row["two_ranks_seconds"])


def test_minutes_without_a_goal_say_so() -> None:
    rows = [
        {"what": "make book", "minutes": 8.0, "goal_minutes": 9.0, "memory_gb": 3.5},
        {"what": "metrics", "minutes": 0.5, "goal_minutes": None, "memory_gb": 1.5},
    ]
    table = benchmark_tables.minutes_table({"book": rows[:1], "metrics": rows[1:]})
    assert table["goal"].tolist() == [9.0, MISSING]
    assert table.loc["make book", "minutes"] == 8.0
