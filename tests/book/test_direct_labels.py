"""Labels stay in order, apart, and as near to their points as that allows."""

from __future__ import annotations

import pytest
from matplotlib.text import Text

from companion.book.direct_labels import Label, apart, label_margin
from dpgen_core.records.sheets import new_figure


def test_places_move_as_little_as_they_can() -> None:
    assert apart([0.9, 0.1, 0.5], 0.2) == pytest.approx([0.9, 0.1, 0.5])  # nothing to do
    assert apart([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert apart([0.52, 0.5, 0.9], 0.1) == pytest.approx([0.56, 0.46, 0.9])
    assert apart([], 0.1) == []


def test_names_in_the_margin_do_not_touch() -> None:
    figure = new_figure(6.0, 4.0)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.1, 0.1, 0.5, 0.8))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    label_margin(axes, [Label(0.5, 0.5 + 0.001 * i, f"method {i}", "black") for i in range(8)])
    figure.canvas.draw()  # places them
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the lines
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :]]
    assert len(boxes) == 8 and not any(a.overlaps(b) for a, b in pairs)
    assert all(box.x0 > axes.bbox.x1 for box in boxes)
