"""The forest plot draws each interval once, filled where its verdict holds."""

from __future__ import annotations

from dataclasses import replace

from companion.book.effects import Effect
from companion.book.forest import forest, forest_alt
from companion.book.measures import FRECHET, G2R, RECALL

SURE = Effect("mnist", "efsgd", "efsgd/no-reconstruction", 10.0, G2R, 3, 4.0, 3.0, 5.0, 0.01)
FAMILY = [
    replace(SURE, p_holm=0.03, verdict="better"),
    replace(SURE, dataset="fashion_mnist", mean=-1.0, low=-4.0, high=2.0, p=0.5, p_holm=1.0),
    replace(SURE, measure=RECALL, mean=-0.5, low=-0.9, high=-0.1, p_holm=0.06),
    replace(SURE, measure=FRECHET, n=1, low=float("nan"), high=float("nan"), p=float("nan")),
]


def test_marks_intervals_and_fill() -> None:
    figure = forest(FAMILY)
    g2r, frechet, recall = figure.axes
    bars = {(line.get_xdata()[0], line.get_xdata()[-1]) for line in g2r.lines}
    assert {(3.0, 5.0), (-4.0, 2.0)} <= bars
    marks = {line.get_xdata()[0]: line for line in g2r.lines if line.get_marker() in ("o", "s")}
    assert marks[4.0].get_markerfacecolor() == marks[4.0].get_color()
    assert marks[-1.0].get_markerfacecolor() == "white"
    assert len(frechet.lines) == 2  # a mark without interval, and zero
    assert len(recall.lines) == 3
    rows = [text.get_text() for text in g2r.get_yticklabels()]
    assert rows == ["noise\ninjection", "reconstruction\nloss", "error\nfeedback"]
    assert round(float(marks[4.0].get_ydata()[0])) == 1


def test_text_says_what_is_seen() -> None:
    text = forest_alt(FAMILY)
    assert "the reconstruction loss (g2r up on MNIST and recall down on MNIST)" in text
    assert "1 of 4 are decided" in text and "error feedback (" not in text
    assert "no record" in forest_alt([])
