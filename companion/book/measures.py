"""The measures that settings are compared by: column, title, decimals and direction."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """A column of `tables.runs_frame`."""

    column: str
    title: str
    digits: int
    more_is_better: bool


G2R = Measure("g2r_cnn", "g2r CNN (%)", 1, True)
FRECHET = Measure("frechet_distance", "Frechet distance", 1, False)
PRECISION = Measure("precision", "precision", 2, True)
RECALL = Measure("recall", "recall", 2, True)
SPREAD = Measure("spread", "spread (real = 1)", 2, True)

MEASURES: tuple[Measure, ...] = (
    G2R,
    Measure("g2r_mlp", "g2r MLP (%)", 1, True),
    Measure("r2g_cnn", "r2g CNN (%)", 1, True),
    FRECHET,
    Measure("inception_score", "inception score", 2, True),
    RECALL,
    SPREAD,
)
