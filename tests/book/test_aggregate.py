"""Means over seeds, and changes with interval and verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_records import make_record

from companion.book.aggregate import ablation, captioned, comparison, settings
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


def test_ablation_pairs_the_seeds_and_captions_its_family(tmp_path: Path) -> None:
    seeds(tmp_path, "efsgd", (0.80, 0.84, 0.76), frechet_distance=50.0)
    seeds(tmp_path, "efsgd/no-reconstruction", (0.701, 0.740, 0.662), frechet_distance=60.0)
    seeds(tmp_path, "efsgd/no-error-feedback", (0.82, 0.81, 0.79))
    table = ablation(committed_records(tmp_path), dataset="mnist", base="efsgd", epsilon=10.0)
    assert table.loc["efsgd", "g2r CNN (%)"] == "80.0 ± 4.0"
    loss = table.loc["no-reconstruction", "g2r CNN (%)"]  # far smaller than the spread of either
    assert loss == "70.1 ± 3.9; -9.9 (-10.1 to -9.7), worse"
    assert table.loc["no-error-feedback", "g2r CNN (%)"].endswith(", undecided")
    # equal in all seeds: a change, but nothing is known of its spread; missing: nothing at all
    assert table.loc["no-reconstruction", "Frechet distance"] == "60.0 ± 0.0; +10.0, undecided"
    assert table.loc["no-error-feedback", "Frechet distance"] == "n/a"
    html = captioned(table).to_html()
    assert "<caption>" in html and "for 2 comparisons" in html and "dataframe" in html


def test_no_records_give_empty_tables() -> None:
    assert comparison([], dataset="mnist").empty
    assert ablation([], dataset="mnist", base="efsgd", epsilon=10.0).empty
