"""Forest plot of the paper's parts: what each buys, with minus without, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from companion.book.effects import UNDECIDED, Effect
from companion.book.figures import COLORS
from companion.book.tables import DATASET_TITLES
from companion.book.verdicts import NAMES, PAPER_PARTS, PART_MEASURES, listed
from dpgen_core.records.sheets import new_figure

_LOOKS = {"mnist": (COLORS[0], "o", 0.16), "fashion_mnist": (COLORS[1], "s", -0.16)}


def forest(family: Sequence[Effect]) -> Figure:
    """One panel per measure, one row per part, a mark per data set; filled where decided.

    Args:
        family: from `part_effects`.
    """
    figure = new_figure(6.2, 3.9)
    panels = figure.subplots(1, len(PART_MEASURES), sharey=True)
    names = [name.removeprefix("the ").replace(" ", "\n", 1) for name, _ in PAPER_PARTS]
    for axes, measure in zip(panels, PART_MEASURES, strict=True):
        for effect in family:
            if effect.measure == measure:
                _draw(axes, effect)
        better = "better $\\rightarrow$" if measure.more_is_better else "$\\leftarrow$ better"
        unit = " (points)" if measure.column == "g2r_cnn" else ""
        axes.set_title(f"{NAMES[measure]}{unit}\n{better}", fontsize=11)
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.set(ylim=(-0.6, len(names) - 0.4))
        axes.set_yticks(range(len(names)), labels=names[::-1], fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.tick_params(axis="x", labelsize=10)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
    marks = [
        Line2D([], [], color=color, marker=marker, linewidth=1.6, label=DATASET_TITLES[name])
        for name, (color, marker, _) in _LOOKS.items()
    ]
    hollow = Line2D([], [], color="black", marker="o", mfc="white", linewidth=0, label=UNDECIDED)
    figure.legend(handles=[*marks, hollow], loc="outside lower center", ncols=3, frameon=False)
    return figure


def forest_alt(family: Sequence[Effect]) -> str:
    """What is seen: which intervals lie beside zero, and which verdicts hold."""
    if not family:
        return "A forest plot without marks: no record is committed yet."
    beside = [
        f"{name} ({listed(_apart(family, switch))})"
        for name, switch in PAPER_PARTS
        if _apart(family, switch)
    ]
    decided = sum(effect.verdict != UNDECIDED for effect in family)
    return (
        "Forest plot, three rows for the paper's parts and three panels for g2r, Frechet distance "
        "and recall, each with a mark and an interval for MNIST and Fashion-MNIST. Intervals off "
        f"zero: {'; '.join(beside) or 'none'}. After correction {decided} of {len(family)} are "
        "decided, drawn filled."
    )


def _apart(family: Sequence[Effect], switch: str) -> list[str]:
    """The comparisons of a part whose own interval does not hold zero."""
    return [
        f"{NAMES[e.measure]} {'up' if e.mean > 0 else 'down'} on {DATASET_TITLES[e.dataset]}"
        for e in family
        if e.base.endswith(f"/{switch}") and e.low * e.high > 0
    ]


def _draw(axes: Axes, effect: Effect) -> None:
    color, marker, offset = _LOOKS[effect.dataset]
    row = [switch for _, switch in PAPER_PARTS][::-1].index(effect.base.partition("/")[2]) + offset
    if not math.isnan(effect.low):
        axes.plot([effect.low, effect.high], [row, row], color=color, linewidth=1.8)
    face = "white" if effect.verdict == UNDECIDED else color
    axes.plot(effect.mean, row, marker, color=color, markerfacecolor=face, markersize=7)
