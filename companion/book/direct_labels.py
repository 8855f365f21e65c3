"""Points of a chart labeled directly: names in the margin, with lines to their points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

_FONT = 9.5  # points
_LINE = 1.25  # height of a label, as a share of its font size


class Label(NamedTuple):
    """A name for the point (x, y), in the coordinates of the data."""

    x: float
    y: float
    text: str
    color: str


def apart(places: Sequence[float], gap: float) -> list[float]:
    """The nearest places, by least squares, in the same order and at least `gap` apart."""
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(order))
    fitted = np.asarray(isotonic_regression(np.asarray(places, dtype=float)[order] - steps).x)
    out = np.empty(len(order))
    out[order] = fitted + steps
    return [float(place) for place in out]


def label_margin(axes: Axes, labels: Sequence[Label], *, left: bool = False) -> None:
    """Write the labels beside the axes, none over another, and lead a thin line to each point.

    To the left they stand beyond the tick labels. The limits and scales of `axes`, and the size of
    its figure, have to be set before.
    """
    if not labels:
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    height = figure.get_size_inches()[1] * axes.get_position().height * 72  # points
    to_share = axes.transData + axes.transAxes.inverted()
    shares = [float(to_share.transform((label.x, label.y))[1]) for label in labels]
    places = apart(shares, _LINE * _FONT / height)
    over = max(max(places) - 1.02, 0.0) + min(min(places) + 0.02, 0.0)
    edge, side, near = (-0.17, "right", 1.0) if left else (1.05, "left", 0.0)
    for label, place in zip(labels, places, strict=True):
        axes.annotate(
            label.text,
            xy=(label.x, label.y),
            xytext=(edge, place - over),
            textcoords="axes fraction",
            ha=side,
            va="center",
            fontsize=_FONT,
            color=label.color,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": label.color,
                "alpha": 0.45,
                "linewidth": 0.6,
                "relpos": (near, 0.5),
                "shrinkA": 1,
                "shrinkB": 3,
            },
        )
