"""Conclusions: every verdict follows the figures, and without records there are none."""

from __future__ import annotations

from pathlib import Path

from made_records import make_record

from companion.book.conclusions import (
    compared_table,
    conclusions,
    rounds_table,
    switched_table,
    targets_table,
)
from companion.studies.campaign import NON_PRIVATE
from companion.studies.committed import committed_records
from dpgen_core.config.presets import COLORED, PRIOR_FRAMED


def seeds(folder: Path, method: str, *values: float, epsilon: float = 10.0, **more: float) -> None:
    for seed, value in enumerate(values):
        make_record(folder, method=method, seed=seed, epsilon=epsilon, g2r_cnn=value, **more)


def test_targets_are_reached_by_the_best_or_not_at_all(tmp_path: Path) -> None:
    seeds(tmp_path, "efsgd", 0.84, 0.86)
    seeds(tmp_path, "gaussian", 0.95, 0.96)
    seeds(tmp_path, "mixture", 0.94)
    seeds(tmp_path, "gaussian", 0.96, epsilon=1.0)
    seeds(tmp_path, "gs-wgan", 0.99)  # not ours
    table = targets_table(committed_records(tmp_path))
    assert table["by"].tolist() == ["gaussian", "gaussian", "efsgd"]
    assert table["reached"].tolist() == ["floor", "goal", "no"]
    assert table["g2r CNN (%)"].tolist() == ["95.5 ± 0.7", "96.0", "85.0 ± 1.4"]
    assert table["runs"].tolist() == [2, 1, 2]


def test_what_the_rounds_add_is_judged_seed_by_seed(tmp_path: Path) -> None:
    seeds(tmp_path, "gaussian", 0.95, 0.93, 0.94, frechet_distance=80.0, recall=0.3)
    seeds(tmp_path, "efsgd-prior", 0.90, 0.881, 0.89, frechet_distance=20.0, recall=0.6)
    table = rounds_table(committed_records(tmp_path))
    row = table.loc["gaussian"]
    assert row["g2r CNN (%)"] == "-5.0 (-5.1 to -4.8), worse"
    assert row["Frechet distance"] == "-60.0, undecided"  # equal in all seeds
    assert row["recall"] == "0.30 to 0.60" and row["seeds"] == "3"
    assert table.attrs["note"].endswith("for 1 comparison.")
    seeds(tmp_path, "mixture", 0.95, 0.85, frechet_distance=16.0, recall=0.6)
    seeds(tmp_path, "efsgd-prior", 0.90, 0.99, frechet_distance=20.0, recall=0.6, epsilon=1.0)
    table = rounds_table(committed_records(tmp_path))  # nothing else at epsilon 1 yet
    assert table.index.tolist() == ["gaussian", "mixture"]
    assert table.loc["mixture", "g2r CNN (%)"].endswith(", undecided")
    assert table.loc["mixture", "seeds"] == "2"  # that both have


def test_sentences_quote_the_records(tmp_path: Path) -> None:
    seeds(tmp_path, "efsgd-prior", 0.95, 0.93)
    seeds(tmp_path, "efsgd-prior/no-error-feedback", 0.94, 0.9201)
    seeds(tmp_path, "efsgd", 0.85, 0.86, real_cnn=0.98)
    seeds(tmp_path, "efsgd/no-error-feedback", 0.86, 0.86)  # has a figure of its own
    seeds(tmp_path, "efsgd", 0.87, 0.89, epsilon=NON_PRIVATE)
    seeds(tmp_path, "gs-wgan", 0.7, 0.702, frechet_distance=5.0, recall=0.6)
    text = conclusions(committed_records(tmp_path))
    assert "error feedback: g2r +1.0 (+0.9 to +1.1), better" in text
    assert text.count("error feedback") == 1
    assert "next to none gives g2r 88.0 %, epsilon 10 gives 85.5 % (+2.5, 95 % interval " in text
    assert "`gs-wgan` reaches g2r 70.1 % at a recall of 0.60; against `efsgd`" in text
    assert "g2r -15.4 (" in text and "n = 2" in text and "for 2 comparisons" in text
    assert "trained on real records gets 98.0 %" in text and "`efsgd-prior`, 94.0 %" in text


def test_the_clip_and_the_memory_are_separated(tmp_path: Path) -> None:
    for method, cosine in (("efsgd", 0.95), ("efsgd/no-error-feedback", 0.9996)):
        record = make_record(tmp_path, method=method)
        table = record.diagnostics.assign(clip_cosine=cosine, norm_spread=0.04)
        table.to_csv(record.path / "diagnostics.csv", index=False)
    text = conclusions(committed_records(tmp_path))
    assert "the clip alone leaves the sum of contributions at a cosine of 0.9996 to 0.9996" in text
    assert "clip and memory together leave the sum of contributions at a cosine of 0.9500" in text


def test_without_records_there_are_no_conclusions() -> None:
    assert targets_table([]).empty and rounds_table([]).empty
    assert conclusions([]) == "No record is committed yet.\n"


def test_what_is_asked_of_efsgd_may_be_reached_with_appearance_noise(tmp_path: Path) -> None:
    seeds(tmp_path, "efsgd", 0.85, 0.86)
    seeds(tmp_path, "efsgd/with-appearance", 0.89, 0.901)
    seeds(tmp_path, "efsgd/no-noise-injection", 0.99, 0.99)  # an ablation is no result
    seeds(tmp_path, "efsgd-prior", 0.96, 0.962)
    records = committed_records(tmp_path)
    table = targets_table(records)
    assert table["asked of"].tolist() == ["the best of ours", "efsgd"]
    assert table["by"].tolist() == ["efsgd-prior", "efsgd/with-appearance"]
    assert table["reached"].tolist() == ["floor", "floor"]
    row = switched_table(records, "efsgd/with-appearance").loc["efsgd"]
    assert row["g2r CNN (%)"] == "+4.1 (+3.4 to +4.7), better"


def test_frames_are_judged_against_the_same_method_without(tmp_path: Path) -> None:
    seeds(tmp_path, "mixture", 0.95, 0.952)
    seeds(tmp_path, "mixture/with-frame", 0.97, 0.973)
    seeds(tmp_path, "gaussian", 0.94, 0.942)
    seeds(tmp_path, "efsgd-prior/with-frame", 0.98, 0.9831)
    records = committed_records(tmp_path)
    table = switched_table(records, *PRIOR_FRAMED)
    assert table.index.tolist() == ["mixture"]
    assert table.loc["mixture", "g2r CNN (%)"] == "+2.1 (+1.4 to +2.7), better"
    rounds = rounds_table(records, ours="efsgd-prior/with-frame")
    assert rounds.index.tolist() == ["gaussian", "mixture/with-frame"]
    assert rounds.loc["mixture/with-frame", "g2r CNN (%)"] == "+1.0 (+0.9 to +1.1), better"
    assert targets_table(records)["by"].tolist() == ["efsgd-prior/with-frame"]


def test_rounds_on_a_prior_for_photographs_are_judged_against_the_same_releases(
    tmp_path: Path,
) -> None:
    for method, share in (
        ("gaussian", 0.8),
        ("gaussian/with-color", 0.9),
        ("mixture/with-color", 0.88),
        ("efsgd-prior/with-color", 0.87),
    ):
        # the larger the mean, the larger the step from seed to seed
        seeds(tmp_path, method, share, share + share / 100, dataset="celeba")
    records = committed_records(tmp_path)
    table = switched_table(records, *COLORED)
    assert table.index.tolist() == ["gaussian"]
    assert table.loc["gaussian", "g2r CNN (%)"] == "+10.0 (+9.4 to +10.7), better"
    rounds = rounds_table(records, ours="efsgd-prior/with-color")
    assert rounds.index.tolist() == ["gaussian/with-color", "mixture/with-color"]
    assert [text.split(", ")[1] for text in rounds["g2r CNN (%)"]] == ["worse", "worse"]
    assert targets_table(records)["by"].tolist() == ["gaussian/with-color"]


def test_methods_without_records_are_left_out_of_a_comparison(tmp_path: Path) -> None:
    seeds(tmp_path, "dp-sgd-critic", 0.70, 0.702)
    seeds(tmp_path, "efsgd", 0.65, 0.67)
    seeds(tmp_path, "gs-wgan", 0.8)
    others = ("efsgd", "dp-gan-dpac", "gs-wgan")
    table = compared_table(committed_records(tmp_path), "dp-sgd-critic", *others)
    assert table.index.tolist() == ["efsgd", "gs-wgan"]
    assert [text.split(" ")[0] for text in table["g2r CNN (%)"]] == ["+4.1", "-10.0,"]
    assert table["seeds"].tolist() == ["2", "1"]
