"""Accuracy by a deep judge against budget and training, from invented answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from companion.book.yardstick_figure import limits_figure, limits_text
from companion.studies.yardsticks import BY_BUDGET, REAL, JudgedSet, usual_curve
from dpgen_core.records.sheets import png_bytes

METHOD = BY_BUDGET["mnist"]
PLAIN = JudgedSet("mnist", "mixture", curve="full-range")
SETS = {
    **{
        JudgedSet("mnist", METHOD, epsilon=e): a for e, a in ((0.3, 0.9), (1.0, 0.96), (10.0, 0.98))
    },
    JudgedSet("mnist", METHOD, seed=1): 0.94,
    PLAIN: 0.95,
    JudgedSet("mnist", "mixture", grain=0.5): 0.97,
    JudgedSet("mnist", "mixture", dither=0.08): 0.5,  # no method of its own
    JudgedSet("mnist", "efsgd", curve="logistic"): 0.8,  # of which no record is there
    JudgedSet("mnist", REAL): 0.99,
    JudgedSet("fashion_mnist", BY_BUDGET["fashion_mnist"]): 0.7,  # one budget is no curve
}


@pytest.fixture
def judged() -> dict[str, Any]:
    answers = {
        one.name(): {"set": vars(one), "accuracy": accuracy, "real_records": 60_000}
        for one, accuracy in SETS.items()
    }
    return {"deep": answers}


@pytest.fixture
def records() -> list[Any]:
    made = []
    # The record of the mixture is of before: its curve is another, its training the same.
    former = JudgedSet("mnist", "mixture", curve="logistic")
    for one, seconds in (
        (former, 3.0),
        *((JudgedSet("mnist", METHOD, seed=s), 90.0) for s in (0, 1)),
    ):
        name = one.record_name({"real_records": 60_000})
        config = SimpleNamespace(record_name=lambda name=name: name)
        made.append(SimpleNamespace(config=config, metrics={"training_seconds": seconds}))
    return made


def test_the_sentences_hold_means_by_budget_and_by_time(
    judged: dict[str, Any], records: list[Any]
) -> None:
    assert usual_curve(METHOD) == "full-range"
    text = limits_text(judged, records)
    assert "90.0 % at epsilon 0.3, 96.0 % at epsilon 1, 96.0 % at epsilon 10." in text
    assert text.endswith(
        f"`mixture` 95.0 % in 3.0 s, `mixture, grained` 97.0 % in 3.0 s, `{METHOD}` 96.0 % in 1.5 min."
    )
    assert "efsgd" not in text and "dithered" not in text and "Fashion" not in text
    assert "Not measured yet" in limits_text({}, records)
    again = SimpleNamespace(  # a record with today's curve beside the former one
        config=SimpleNamespace(record_name=lambda: PLAIN.record_name({"real_records": 60_000})),
        metrics={"training_seconds": 2.0},
    )
    assert "`mixture` 95.0 % in 2.0 s" in limits_text(judged, [*records, again])


def test_the_figure_has_a_row_for_each_curve_and_names_its_points(
    judged: dict[str, Any], records: list[Any]
) -> None:
    figure = limits_figure(judged, records)
    left, right = figure.axes
    assert {text.get_text() for text in right.texts} == {"mixture", "mixture, grained", METHOD}
    assert list(left.lines[1].get_xdata()) == [0.3, 1.0, 10.0]
    assert left.get_xlim()[0] < 0.3 and right.get_xlim()[1] > 90
    assert len(png_bytes(figure, colors=64)) > 1000
    assert len(limits_figure(judged, []).axes) == 2  # seconds that no record knows are left out
