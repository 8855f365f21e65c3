"""The search for settings as a strip plot: one mark per committed trial."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from companion.book.figures import COLORS
from companion.book.tables import DATASET_TITLES
from companion.studies.search_space import NEXT_TO_NO_NOISE
from companion.studies.settings_search import TUNING_FILE
from dpgen_core.records.sheets import new_figure

_PRESET = "{}"  # overrides of a trial that changed nothing
_LOOKS = dict(zip(("mnist", "fashion_mnist", "celeba", "pneumoniamnist"), COLORS, strict=False))
_SPREAD = 0.26  # of the marks of a row, so that few lie over one another


def tuning_strip(results: Path) -> Figure:
    """g2r on held-out records of every trial, a row per method and budget.

    Args:
        results: the folder that holds `TUNING_FILE`. Colors are the data sets.
    """
    groups = _groups(results)
    figure = new_figure(6.2, 0.42 * len(groups) + 1.6)
    axes = figure.add_subplot()
    names = []
    for row, ((method, epsilon), trials) in enumerate(groups):
        shift = _SPREAD * np.sin(np.arange(len(trials)) * 2.4)  # even, and the same in every build
        first = trials["overrides"] == _PRESET
        accuracy = 100 * trials["g2r"]
        colors = [_LOOKS[name] for name in trials["dataset"]]
        axes.scatter(accuracy, row + shift, c=colors, s=22, alpha=0.7, linewidths=0)
        axes.plot(accuracy[first], row + shift[first], "D", color="black", markersize=5)
        names.append(f"{method}, {_budget(epsilon)} ({len(trials)})")
    axes.set_yticks(range(len(names)), labels=names, fontsize=10)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("g2r, held-out records (%)", fontsize=10)
    marks = [
        Line2D([], [], color=color, marker="o", linewidth=0, label=DATASET_TITLES[name])
        for name, color in _LOOKS.items()
    ]
    preset = Line2D([], [], color="black", marker="D", linewidth=0, label="the first preset")
    figure.legend(
        handles=[*marks, preset], loc="outside upper center", ncols=2, frameon=False, fontsize=10
    )
    axes.tick_params(axis="x", labelsize=10)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def tuning_alt(results: Path) -> str:
    """What is seen: how many trials, and the range of the longest row."""
    groups = _groups(results)
    (method, epsilon), widest = max(groups, key=lambda g: g[1]["g2r"].max() - g[1]["g2r"].min())
    return (
        f"{sum(len(trials) for _, trials in groups)} trials as marks in {len(groups)} rows. The "
        f"widest row, {method} at {_budget(epsilon)}, reaches from {100 * widest['g2r'].min():.1f} "
        f"to {100 * widest['g2r'].max():.1f} %."
    )


def _groups(results: Path) -> list[tuple[tuple[str, float], pd.DataFrame]]:
    table = pd.read_csv(results / TUNING_FILE)
    table["dataset"] = [json.loads(text).get("dataset", "mnist") for text in table["overrides"]]
    keys = ["method", "epsilon"]
    groups = table.sort_values(keys).groupby(keys)
    return [((str(rows["method"].iloc[0]), rows["epsilon"].iloc[0]), rows) for _, rows in groups]


def _budget(epsilon: float) -> str:
    return "almost no noise" if epsilon > NEXT_TO_NO_NOISE else f"epsilon {epsilon:g}"
