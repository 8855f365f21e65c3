"""How far the clip turns the sum of contributions, with memory on and off: a histogram of runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from companion.book.figures import COLORS
from dpgen_core.records.record import Record
from dpgen_core.records.sheets import new_figure

_TITLES = {False: "memory off: the clip alone", True: "memory on: clip and memory"}
_SMALLEST = 1e-7  # one minus a cosine, below which float32 sums say nothing


def clip_cosines(records: Sequence[Record]) -> dict[bool, list[float]]:
    """Median over rounds of the cosine between released and intended sum, by memory on or off.

    Args:
        records: from `committed_records`; those without owners or rounds are left out.
    """
    found: dict[bool, list[float]] = {False: [], True: []}
    for record in records:
        table = record.diagnostics
        owners = record.config.privacy.learner == "owners"  # one critic has no such memory
        if owners and "clip_cosine" in table and len(table):
            memory = record.config.contribution.feedback_decay > 0
            found[memory].append(float(table["clip_cosine"].median()))
    return found


def cosine_histogram(cosines: dict[bool, list[float]]) -> Figure:
    """Runs by one minus their cosine, on a log scale, a panel for memory off and one for on.

    Args:
        cosines: from `clip_cosines`.
    """
    figure = new_figure(6.2, 4.2)
    panels = figure.subplots(2, 1, sharex=True)
    bias = {on: np.maximum(1.0 - np.asarray(values), _SMALLEST) for on, values in cosines.items()}
    every = np.concatenate(list(bias.values()))
    ends = (np.log10(every.min()), np.log10(every.max())) if len(every) else (-4.0, 0.0)
    edges = np.logspace(np.floor(ends[0]), max(np.ceil(ends[1]), np.floor(ends[0]) + 1), 31)
    for axes, (on, values) in zip(panels, bias.items(), strict=True):
        axes.hist(values, bins=edges, color=COLORS[int(on)])
        axes.set_title(f"{_TITLES[on]} ({len(values)} runs)", fontsize=11, loc="left")
        axes.set_ylabel("runs", fontsize=10)
        axes.set_xscale("log")
        axes.tick_params(labelsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("1 - cosine, median over rounds (log scale)", fontsize=10)
    return figure


def cosine_alt(cosines: dict[bool, list[float]]) -> str:
    """What is seen: where the middle of each histogram lies."""
    seen = [
        f"{_TITLES[on]}, {len(values)} runs around a cosine of {np.median(values):.4f}"
        for on, values in cosines.items()
        if values
    ]
    return f"Two histograms of runs by one minus the cosine: {'; '.join(seen) or 'no runs'}."
