"""What a deep judge makes of more budget and of more training: a figure and its sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.book.direct_labels import Label, label_margin
from companion.book.figures import COLORS
from companion.book.tables import DATASET_TITLES
from companion.book.yardstick_tables import DITHERED, FORMER, grouped
from companion.studies.campaign import Run, names
from companion.studies.yardsticks import BY_BUDGET, REAL, JudgedSet
from dpgen_core.records.record import Record
from dpgen_core.records.sheets import new_figure

_Judged = dict[str, Any]  # protocol -> set's name -> answer, as in the file
_BUDGET = "10"  # of the panel on training
_FEWEST = 3  # budgets that make a curve


def limits_figure(judged: _Judged, records: Sequence[Record]) -> Figure:
    """A row for each data set: accuracy against budget, and against seconds of training.

    Args:
        judged: from `load_yardsticks`.
        records: from `committed_records`; they know the seconds.
    """
    shown = _shown(judged)
    trained = {name: list(_trained(judged, records, name)) for name in shown}
    figure = new_figure(6.6, 2.7 * len(shown) + 0.2)
    grid = figure.subplots(len(shown), 2, squeeze=False, sharex="col", sharey="row")
    for (left, right), (dataset, points) in zip(grid, trained.items(), strict=True):
        real = judged["deep"].get(JudgedSet(dataset, REAL).name())
        for axes in (left, right):
            axes.tick_params(labelsize=9)
            axes.spines[["top", "right"]].set_visible(False)
            if real:
                axes.axhline(100 * real["accuracy"], color="gray", linestyle="--", linewidth=1)
        left.set_title(f"{DATASET_TITLES[dataset]}: budget", fontsize=11, loc="left")
        left.set_ylabel("deep (%)", fontsize=10)
        right.set_title(f"training, at epsilon {_BUDGET}", fontsize=11, loc="left")
        _curve(left, _by_budget(judged, dataset))
        for time, accuracy, _ in points:
            right.plot(time, accuracy, "o", color=COLORS[0], markersize=5)
    budgets = [epsilon for name in shown for epsilon in _by_budget(judged, name)]
    seconds = [time for points in trained.values() for time, _, _ in points]
    for axes, label, values in (
        (grid[-1, 0], "epsilon", budgets),
        (grid[-1, 1], "seconds of training", seconds),
    ):
        _decades(axes, values)
        axes.set_xlabel(label, fontsize=10)
    figure.canvas.draw()  # the labels go by the limits
    for (_, right), points in zip(grid, trained.values(), strict=True):
        label_margin(right, [Label(x, y, kind, COLORS[0]) for x, y, kind in points])
    return figure


def limits_text(judged: _Judged, records: Sequence[Record]) -> str:
    """What the figure shows, a paragraph for each data set; Markdown without links, or that it is empty."""
    said = []
    for dataset in _shown(judged):
        budgets = _by_budget(judged, dataset)
        trained = sorted(_trained(judged, records, dataset))
        text = f"{DATASET_TITLES[dataset]}, by budget, `{BY_BUDGET[dataset]}`: " + ", ".join(
            f"{mean(values):.1f} % at epsilon {epsilon:g}" for epsilon, values in budgets.items()
        )
        by_time = ", ".join(f"`{k}` {y:.1f} % in {_short(x)}" for x, y, k in trained)
        said.append(text + (f". By training, at epsilon {_BUDGET}: {by_time}." if trained else "."))
    return "\n\n".join(said) or "Not measured yet: `python -m companion.studies.yardsticks` does."


def _shown(judged: _Judged) -> list[str]:
    return [name for name in BY_BUDGET if len(_by_budget(judged, name)) >= _FEWEST]


def _by_budget(judged: _Judged, dataset: str) -> dict[float, list[float]]:
    """Accuracies in percent of the seeds, by budget."""
    found = grouped(judged, dataset)
    return {
        float(epsilon): [100 * answer["accuracy"] for answer in answers]
        for (epsilon, kind), answers in sorted(found.items(), key=lambda item: float(item[0][0]))
        if kind == BY_BUDGET[dataset]
    }


def _curve(axes: Axes, budgets: Mapping[float, Sequence[float]]) -> None:
    """The mean over the seeds at each budget, with the lowest and the highest."""
    means = [mean(values) for values in budgets.values()]
    pairs = list(zip(means, budgets.values(), strict=True))
    down = [middle - min(values) for middle, values in pairs]
    up = [max(values) - middle for middle, values in pairs]
    axes.errorbar(
        *(list(budgets), means), yerr=(down, up), fmt="o-", color=COLORS[1], markersize=4, capsize=3
    )


def _decades(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis of a little more than the whole powers of ten around the values."""
    axes.set_xscale("log")
    if values:
        low, high = math.log10(min(values)), math.log10(max(values))
        axes.set_xlim(10.0 ** math.floor(low) / 1.3, 10.0 ** math.ceil(high) * 1.3)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def _trained(
    judged: _Judged, records: Sequence[Record], dataset: str
) -> Iterator[tuple[float, float, str]]:
    """Mean seconds of training and accuracy of each kind, where a record of its release has them."""
    known = {r.config.record_name(): r.metrics["training_seconds"] for r in records}
    for (epsilon, kind), answers in grouped(judged, dataset).items():
        if epsilon != _BUDGET or kind.endswith((DITHERED, FORMER)):
            continue
        sets = (JudgedSet(**answer["set"]) for answer in answers)
        releases = (names(Run(s.dataset, s.method, s.epsilon, s.seed)) for s in sets)
        found = (next(filter(known.__contains__, either), None) for either in releases)
        seconds = [known[name] for name in found if name]
        if len(seconds) == len(answers):
            yield mean(seconds), 100 * mean(answer["accuracy"] for answer in answers), kind


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
