"""Published against recomputed epsilon, as bars on a log axis."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from companion.book.figures import COLORS
from dpgen_core.accounting.ledger import bound_text
from dpgen_core.checks import require
from dpgen_core.records.sheets import new_figure


def epsilon_bars(epsilons: Mapping[str, float]) -> Figure:
    """A horizontal bar per way of accounting, with its value; the first is the published one.

    Args:
        epsilons: name -> epsilon of the same mechanism, all positive.

    Raises:
        InvalidArgument: none, or one that is not positive.
    """
    rule = "at least one, all positive"
    good = bool(epsilons) and all(value > 0 for value in epsilons.values())
    require(good, "epsilons", dict(epsilons), rule, "{'published': 10.0}")
    figure = new_figure(6.2, 0.62 * len(epsilons) + 0.9)
    axes = figure.add_subplot()
    values = list(epsilons.values())
    colors = [COLORS[0], *[COLORS[1]] * (len(values) - 1)]
    axes.barh(range(len(values)), values, color=colors, height=0.6)
    for row, value in enumerate(values):
        axes.text(1.06 * value, row, bound_text(value, 1), va="center", fontsize=11)
    axes.set_yticks(range(len(values)), labels=list(epsilons), fontsize=11)
    axes.set_xscale("log")
    axes.set_xlim(1.0, 2.5 * max(values))
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("epsilon (log scale)", fontsize=11)
    axes.tick_params(axis="x", labelsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def epsilon_alt(epsilons: Mapping[str, float]) -> str:
    """What is seen: each bar with its value."""
    bars = [f"{' '.join(name.split())} {bound_text(value, 1)}" for name, value in epsilons.items()]
    return f"Bars of epsilon on a log scale: {'; '.join(bars)}."
