"""Accuracy against N as the book shows it."""

from __future__ import annotations

import pytest
from made_record_counts import RULE, made

from companion.book.record_count_figure import (
    record_count_alt,
    record_count_figure,
    record_count_table,
    rule_text,
)
from dpgen_core.delivery.survey import LIMITS
from dpgen_core.records.sheets import png_bytes


def test_panels_hold_every_point() -> None:
    figure = record_count_figure(made())
    mnist, celeba, rules, empty = figure.axes
    assert [axes.get_title(loc="left") for axes in (mnist, celeba)] == [
        "MNIST",
        "CelebA 32x32 subset",
    ]
    ours = next(line for line in mnist.lines if line.get_label() == "epsilon 1")
    assert list(ours.get_xdata()) == [50, 500, 5000]  # by class
    assert ours.get_ydata()[0] == pytest.approx(100 * (0.1 + RULE.share(1.2) * 0.89))
    shown = {
        round(float(x), 3) for line in (rules.lines[0], rules.lines[2]) for x in line.get_xdata()
    }
    assert shown == {1.2, 0.4, 0.05}
    assert not empty.axison and png_bytes(figure).startswith(b"\x89PNG")


def test_words_and_table_quote_the_figures() -> None:
    said = record_count_alt(made())
    assert (
        f"MNIST from {100 * (0.1 + RULE.share(1.2) * 0.89):.0f} % (500 records, epsilon 1)" in said
        and "(50,000, 1)" in said
    )
    table = record_count_table(made())
    assert list(table.columns) == ["epsilon 1", "the records"]
    assert table.loc[("CelebA 32x32 subset", 500), "the records"] == 85.0
    words = rule_text(made())
    assert f"- `strokes` (MNIST): few past a noise of {LIMITS['strokes'].few:g}" in words
    assert words.count("The furthest of 3 releases is 0 points off its curve.") == 2
