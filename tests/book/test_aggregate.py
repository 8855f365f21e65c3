"""Means over seeds and verdicts: a difference within the seeds' spread is undecided."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_records import make_record

from companion.book.aggregate import ablation, comparison, settings, verdict
from companion.studies.committed import committed_records
from dpgen_core.checks import InvalidArgument


def seeds(folder: Path, method: str, values: tuple[float, ...], **metrics: float) -> None:
    for seed, value in enumerate(values):
        make_record(folder, method=method, seed=seed, g2r_cnn=value, **metrics)


def test_mean_and_std_over_seeds(tmp_path: Path) -> None:
    seeds(tmp_path, "efsgd", (0.80, 0.84), class_distance_synthetic=6.0, class_distance_real=8.0)
    row = settings(committed_records(tmp_path)).iloc[0]
    assert row["runs"] == 2
    assert row["g2r_cnn"] == pytest.approx(82.0)
    assert row["g2r_cnn_std"] == pytest.approx(2.0 * 2**0.5)
    assert row["spread"] == pytest.approx(0.75)


def test_comparison_shows_whole_methods_and_marks_what_is_missing(tmp_path: Path) -> None:
    seeds(tmp_path, "efsgd", (0.80, 0.84))
    seeds(tmp_path, "efsgd/no-reconstruction", (0.7,))
    seeds(tmp_path, "gaussian", (0.9,), frechet_distance=70.0)
    table = comparison(committed_records(tmp_path), dataset="mnist")
    assert table.index.tolist() == ["efsgd", "gaussian"]
    assert table["g2r CNN (%)"].tolist() == ["82.0 ± 2.8", "90.0"]
    assert table["Frechet distance"].tolist() == ["n/a", "70.0"]
    with pytest.raises(InvalidArgument, match="dataset: received 'cifar'"):
        comparison([], dataset="cifar")


def test_ablation_calls_a_small_difference_undecided(tmp_path: Path) -> None:
    seeds(tmp_path, "efsgd", (0.80, 0.82), frechet_distance=50.0)
    seeds(tmp_path, "efsgd/no-reconstruction", (0.70, 0.72), frechet_distance=60.0)
    seeds(tmp_path, "efsgd/no-error-feedback", (0.805, 0.825), frechet_distance=40.0)
    table = ablation(committed_records(tmp_path), dataset="mnist", base="efsgd", epsilon=10.0)
    assert table.loc["no-reconstruction", "g2r CNN (%)"] == "71.0 ± 1.4 (-10.0, worse)"
    assert table.loc["no-error-feedback", "g2r CNN (%)"].endswith("(+0.5, undecided)")
    assert table.loc["no-reconstruction", "Frechet distance"].endswith("(+10.0, worse)")
    assert table.loc["no-error-feedback", "Frechet distance"].endswith("(-10.0, better)")
    assert table.loc["efsgd", "g2r CNN (%)"] == "81.0 ± 1.4"


def test_one_seed_decides_nothing() -> None:
    base = pd.Series({"x": 1.0, "x_std": float("nan")})
    row = pd.Series({"x": 9.0, "x_std": 0.1})
    assert verdict(row, base, "x", True) == (8.0, "undecided")


def test_no_records_give_empty_tables() -> None:
    assert comparison([], dataset="mnist").empty
    assert ablation([], dataset="mnist", base="efsgd", epsilon=10.0).empty
