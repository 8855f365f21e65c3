"""The tables of several protocols, from invented answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from companion.book.tables import MISSING
from companion.book.yardstick_tables import best_by_deep, what_changed, yardstick_table
from companion.studies.committed import project_root
from companion.studies.yardsticks import REAL, SEEDS, JudgedSet, load_yardsticks

LOOKS = {"zero_share": 0.5, "sharpness": 0.125}
NOW = JudgedSet("mnist", "mixture")
SETS = {
    NOW: 0.80,
    JudgedSet("mnist", "mixture", seed=1): 0.84,
    JudgedSet("mnist", "mixture", dither=0.08): 0.86,
    JudgedSet("mnist", "mixture", curve="logistic"): 0.74,
    JudgedSet("mnist", "efsgd", curve="logistic"): 0.65,
    JudgedSet("mnist", "mixture", epsilon=1.0): 0.70,
    JudgedSet("mnist", REAL): 0.99,
    JudgedSet("fashion_mnist", "mixture"): 0.60,
}


def answer(one: JudgedSet, accuracy: float) -> dict[str, Any]:
    figures = {"accuracy": accuracy, "fall": 0.01, "forest": 0.7, "linear": 0.6}
    figures |= {"frechet_deep": 3.0, "frechet_deep_floor": 0.5, "real_records": 60_000}
    return {"set": asdict(one), "looks": LOOKS, "looks_real": LOOKS, **figures}


@pytest.fixture
def judged() -> dict[str, Any]:
    metrics = {"g2r_cnn": 0.9, "frechet_distance": 12.0, "recall": 0.5}
    quick = {one.name(): {"runs": [metrics]} for one in SETS if one.curve == "full-range"}
    return {"deep": {one.name(): answer(one, a) for one, a in SETS.items()}, "quick": quick}


def test_seeds_are_averaged_and_sets_kept_apart(judged: dict[str, Any]) -> None:
    table = yardstick_table(judged, [], dataset="mnist")
    assert list(table.index) == [
        ("10", "efsgd"),  # in the order of the study; its curve is its own
        ("10", "mixture"),
        ("10", "mixture, dithered"),
        ("10", "mixture, former curve"),
        ("1", "mixture"),
        ("none", "real images"),
    ]
    row = table.loc[("10", "mixture")]
    assert row["deep (%)"] == 82.0 and row["lowest to highest"] == "80.0 to 84.0"
    assert table.loc[("10", "mixture, dithered"), "lowest to highest"] == MISSING  # one seed
    assert row["seeds"] == 2 and row["g2r CNN (%)"] == 90.0 and row["black (%)"] == 50
    assert set(table["records"]) == {60_000}
    assert table.loc[("none", "real images"), "Frechet, deep"] == 0.5
    # no record and no answer: nothing is made up
    assert table.loc[("10", "mixture, former curve"), "recall"] == MISSING
    assert len(yardstick_table({}, [], dataset="mnist")) == 0


def test_what_a_record_says_is_read_from_it(judged: dict[str, Any]) -> None:
    former = JudgedSet("mnist", "mixture", curve="logistic")
    metrics = {"g2r_cnn": 0.8, "frechet_distance": 25.0, "recall": 0.25}
    record: Any = SimpleNamespace(config=former.config(60_000), metrics=metrics)
    table = yardstick_table(judged, [record], dataset="mnist")
    row = table.loc[("10", "mixture, former curve")]
    assert row["Frechet"] == 25.0 and row["recall"] == 0.25


def test_the_sentences_say_what_the_figures_say(judged: dict[str, Any]) -> None:
    (text,) = what_changed(judged, []).splitlines()
    # Of the seeds that all three have, which is one.
    assert text.startswith("MNIST") and "(n = 1): `deep` 74 / 80 / 86 %" in text
    assert what_changed({}, []) == ""


def test_the_best_is_of_sets_judged_at_every_seed(judged: dict[str, Any]) -> None:
    assert best_by_deep(judged).endswith("Not measured yet.")
    plain = [JudgedSet("mnist", "mixture", seed=seed) for seed in SEEDS]
    noisy = [JudgedSet("mnist", "mixture", seed=seed, dither=0.08) for seed in SEEDS]
    for sets, accuracies in ((plain, (0.8, 0.84, 0.88)), (noisy, (0.7, 0.71, 0.72))):
        judged["deep"] |= {
            one.name(): answer(one, a) for one, a in zip(sets, accuracies, strict=True)
        }
    text = best_by_deep(judged)
    assert (
        "MNIST at epsilon 10 84.0 % (80.0 to 88.0) by `mixture` (dithered at most 71.0 %)" in text
    )
    assert "where real images give 99.0 %" in text and "Fashion" not in text
    more = [JudgedSet("mnist", "mixture", seed=seed, epsilon=100.0) for seed in SEEDS]
    judged["deep"] |= {one.name(): answer(one, 0.9) for one in more}
    assert best_by_deep(judged) == text  # of the usual budgets alone
    assert "100" not in yardstick_table(judged, [], dataset="mnist").index.get_level_values(0)


def test_the_committed_file_is_of_the_listed_sets() -> None:
    root = project_root(Path(__file__).parent)
    found = load_yardsticks(root / "results")
    answers = found.get("deep", {}) | found.get("quick", {})
    assert all(JudgedSet(**a["set"]).name() == name for name, a in answers.items())
