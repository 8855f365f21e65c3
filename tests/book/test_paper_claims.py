"""The table of the paper's claims: its verdicts follow the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made_resolutions
import made_uneven_data
import pytest
from made_record_counts import made
from made_records import make_record

from companion.book import paper_claims
from companion.book.effects import Comparison, Effect
from companion.book.measures import FRECHET, RECALL
from companion.book.paper_claims import (
    FAILS,
    HOLDS,
    MIXED,
    NOT_HERE,
    OPEN,
    OTHER_FORMS,
    TESTED,
    some_form,
    verdict,
)
from companion.studies.committed import project_root
from companion.studies.part_forms import FORMS

PUBLISHED = project_root(Path(__file__).parent) / "book" / "published.csv"


def an_effect(word: str, measure=RECALL) -> Effect:
    pair = Comparison("mnist", "efsgd", "efsgd/no-noise-injection", 10.0)
    return Effect(*pair, measure, 3, 1.0, 0.5, 1.5, 0.01, 0.02, word)


@pytest.mark.parametrize(
    ("words", "harm", "wanted"),
    [
        (["better", "undecided"], False, HOLDS),
        (["worse", "undecided"], False, FAILS),
        (["worse", "better"], False, MIXED),
        (["undecided"], False, OPEN),
        ([], False, OPEN),
        (["worse", "undecided"], True, HOLDS),
        (["better"], True, FAILS),
        (["undecided"], True, OPEN),
    ],
)
def test_the_word_follows_what_is_decided(words, harm, wanted):
    assert verdict([an_effect(word) for word in words], harm=harm) == wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([{"better", "undecided"}, {"worse"}], HOLDS),  # one form is enough
        ([{"better", "untested"}, {"undecided"}], OPEN),  # it may yet do harm elsewhere
        ([{"better", "worse"}, {"undecided"}], MIXED),
        ([{"worse", "undecided"}, {"worse"}], FAILS),
        ([{"worse"}, {"undecided"}], OPEN),
        ([], OPEN),
    ],
)
def test_a_form_counts_if_it_helps_and_harms_nothing(words, wanted):
    assert some_form(words) == wanted
    assert OTHER_FORMS.keys() == FORMS.keys()


def planted(folder: Path, distance: float) -> None:
    """Five seeds: error feedback changes the distance, nothing else is run."""
    for seed in range(5):
        make_record(folder, seed=seed, frechet_distance=50.0 + seed, g2r_cnn=0.8)
        make_record(
            folder,
            method="efsgd/no-error-feedback",
            seed=seed,
            frechet_distance=50.0 + seed - distance + 0.1 * (seed % 2),
            g2r_cnn=0.8,
        )


def line_of(text: str, part: str) -> str:
    (line,) = (line for line in text.splitlines() if part in line)
    return line


@pytest.mark.parametrize(("distance", "word"), [(-9.0, HOLDS), (9.0, FAILS)])
def test_a_row_follows_the_records(tmp_path, distance, word):
    planted(tmp_path, distance)
    text = paper_claims.paper_claims(tmp_path, PUBLISHED)
    line = line_of(text, "Clipped error feedback")
    assert f"**{word.capitalize()}**" in line and f"{distance - 0.04:+.1f}" in line
    assert f"**{OPEN.capitalize()}**" in line_of(text, "The reconstruction loss gives")
    assert "No record is committed yet" in line_of(text, "The reconstruction loss gives")
    assert f"**{NOT_HERE.capitalize()}**" in line_of(text, "FID on MNIST")
    assert "Not measured yet" in line_of(text, "needs many records")
    assert "for 1 comparison" in text


def test_the_size_of_the_data_is_judged_by_what_few_records_leave():
    def judged(accuracy: float | None, seeds: int = 2) -> str:
        points = {}
        for name, point in made()["points"].items():
            there = {"epsilon": 10.0} if point["epsilon"] else {}
            if accuracy is not None:
                there["accuracy"] = accuracy if point["epsilon"] else 0.95
            points |= {f"{name} {seed}": point | there | {"seed": seed} for seed in range(seeds)}
        return paper_claims._size({"points": points}).verdict

    assert judged(None) == HOLDS
    assert judged(0.9) == FAILS
    assert judged(None, seeds=1) == OPEN


def test_one_data_set_with_more_seeds_does_not_speak_for_the_others():
    points = record_counts(seeds={"mnist": 3, "celeba": 1})
    assert paper_claims._size({"points": points}).verdict == OPEN
    points = record_counts(seeds={"mnist": 3, "celeba": 2})
    assert paper_claims._size({"points": points}).verdict != OPEN


def record_counts(seeds: dict[str, int]) -> dict[str, dict]:
    """Made counts at the budget of the claims, for so many seeds of each data set."""
    return {
        f"{name} {seed}": point | {"seed": seed, "epsilon": point["epsilon"] and 10.0}
        for name, point in made()["points"].items()
        for seed in range(seeds[point["dataset"]])
    }


def test_resolution_is_judged_by_the_detail_that_is_left_and_not_by_one_seed():
    found = made_resolutions.made()
    row = paper_claims._resolution(found)
    assert row.verdict == FAILS  # as much is left at every size
    assert "CelebA from 32 to 64 pixels: g2r 86 % to 81 %" in row.found
    for answer in found["points"].values():
        answer["sharpness"] = 1 / answer["image_size"]
    assert paper_claims._resolution(found).verdict == HOLDS
    for answer in found["points"].values():
        if answer["dataset"] == "celeba":
            answer["sharpness"] = 0.01
    assert paper_claims._resolution(found).verdict == MIXED
    assert paper_claims._resolution(made_resolutions.made(seeds=(0,))).verdict == OPEN
    assert paper_claims._resolution({}).verdict == OPEN


@pytest.mark.parametrize(("gain", "word"), [(0.1, HOLDS), (-0.1, FAILS), (0.0, OPEN)])
def test_uneven_owners_are_judged_by_all_measures_of_their_study(gain, word):
    row = paper_claims._uneven(made_uneven_data.made(gain=gain))
    assert row.verdict == word and "skewed owners, g2r: MNIST" in row.found
    assert paper_claims._uneven({}).verdict == OPEN


def test_one_run_decides_nothing():
    gpu = {"quick": {"mnist, diffusion": {"frechet_distance": 0.1}}}
    row = paper_claims._diffusion(gpu)
    assert row.verdict == OPEN and "0.1 on MNIST" in row.found


def test_every_claim_of_the_committed_records_is_in_one_family():
    root = project_root(Path(__file__).parent)
    text = paper_claims.paper_claims(root / "results", PUBLISHED)
    rows = [line for line in text.splitlines() if line.startswith(("| Claim", "| Limit", "| Plan"))]
    assert len(rows) >= len(TESTED) + len(OTHER_FORMS) + 5
    assert [row[2:7] for row in rows] == sorted(row[2:7] for row in rows)  # claims come first
    assert not any("No record is committed" in row for row in rows)
    compared = sum(
        len(stated.bases) * len(stated.datasets) * len(stated.measures) for stated in TESTED
    )
    assert f"for {compared} comparisons" in text
    assert "n = 3 to 5" in text


def test_a_measure_of_distance_has_its_sign():
    worse = replace(an_effect("worse", FRECHET), mean=5.0)
    assert verdict([worse]) == FAILS
