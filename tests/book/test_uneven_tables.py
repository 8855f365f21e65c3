"""The memory on uneven data in the book: pairs, signs and what is said without runs."""

from __future__ import annotations

import pytest
from made_uneven_data import GAIN, made

from companion.book.uneven_tables import (
    MEASURES,
    uneven_effects,
    uneven_report,
    uneven_table,
    uneven_text,
)
from companion.studies.uneven_data import CASES, METHODS, points


def test_the_memory_is_compared_with_none_on_the_same_records() -> None:
    family = uneven_effects(made())
    assert len(family) == len(CASES) * len(MEASURES)
    for one in family:
        assert one.method.endswith(METHODS[0]) and one.base.endswith(METHODS[1])
        assert one.method.partition(": ")[0] == one.base.partition(": ")[0]
    (rare,) = (e for e in family if e.method[:4] == "rare" and e.measure.column == "g2r_watched")
    assert rare.mean == pytest.approx(100 * GAIN, abs=0.1) and rare.verdict == "better"


def test_the_table_has_a_row_for_each_case_that_was_run() -> None:
    table = uneven_table(made())
    assert set(table.index) == {(case, "MNIST") for case in CASES}
    assert "better" in str(table.loc[("rare class", "MNIST"), "g2r of one class (%)"])
    assert uneven_table({}).empty


def test_the_text_has_all_classes_and_the_rare_one() -> None:
    text = uneven_text(uneven_effects(made()))
    assert text.startswith("skewed owners, g2r: MNIST ")
    gain = next(
        e for e in uneven_effects(made()) if e.measure.column == "g2r_watched" and e.mean > 5
    )
    assert text.endswith(f"; rare class, g2r of that class: MNIST {gain.text()}")
    assert uneven_text([]) == ""


def test_one_seed_decides_nothing_and_the_report_counts() -> None:
    for seeds in (1, 4):  # of five
        assert {e.verdict for e in uneven_effects(made(seeds=seeds))} == {"undecided"}
    planned = len(list(points()))
    assert uneven_report({}) == f"Of its {planned} runs 0 are committed."
    assert "n = 5" in uneven_report(made())
