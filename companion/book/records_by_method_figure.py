"""What each method makes of so many records: a figure, a table, and how much of it was run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from companion.book.figures import COLORS
from companion.book.measures import FRECHET, G2R, RECALL
from companion.book.tables import DATASET_TITLES
from companion.studies.records_by_method import DATASETS, EPSILONS, METHODS, points
from dpgen_core.records.sheets import new_figure

_SHOWN = (G2R, RECALL)
_LINES = dict(zip(EPSILONS, ("-", ":"), strict=True))


def records_by_method_figure(runs: pd.DataFrame) -> Figure:
    """A column for each data set, a row for g2r and for recall, a line for each method and budget.

    Args:
        runs: from `records_by_method.runs`.
    """
    figure = new_figure(6.6, 5.4)
    grid = figure.subplots(len(_SHOWN), len(DATASETS), sharex=True, squeeze=False)
    means = _means(runs)
    for row, measure in zip(grid, _SHOWN, strict=True):
        for axes, dataset in zip(row, DATASETS, strict=True):
            some = means[means["dataset"] == dataset]
            for color, method in zip(COLORS, METHODS, strict=False):
                for epsilon, line in _LINES.items():
                    one = some[(some["method"] == method) & (some["epsilon"] == epsilon)]
                    label = f"{method}, {epsilon:g}"
                    style: dict[str, Any] = {
                        "color": color,
                        "linestyle": line,
                        "marker": "o",
                        "markersize": 4,
                    }
                    axes.plot(one["num_records"], one[measure.column], label=label, **style)
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.minorticks_off()
            axes.set_title(DATASET_TITLES[dataset], fontsize=11, loc="left")
            axes.tick_params(labelsize=9)
            axes.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(measure.title, fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("records", fontsize=10)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        *(handles, labels), loc="outside upper center", ncols=4, frameon=False, fontsize=8
    )
    return figure


def records_by_method_alt(runs: pd.DataFrame) -> str:
    """What is seen: where each method's accuracy starts and ends, at the larger budget."""
    said = []
    means = _means(runs)
    larger = means[means["epsilon"] == EPSILONS[0]]
    for dataset, method in larger[["dataset", "method"]].drop_duplicates().to_numpy():
        rows = larger[(larger["dataset"] == dataset) & (larger["method"] == method)]
        ends = rows.iloc[[0, -1]]
        few, many = (f"{value:.0f} %" for value in ends[G2R.column])
        counts = [f"{count:,.0f}" for count in ends["num_records"]]
        said.append(
            f"{method} on {DATASET_TITLES[dataset]} from {few} with {counts[0]} records to {many} with "
            f"{counts[1]}"
        )
    return f"Curves of accuracy and recall against the number of records: {'; '.join(said)}."


def records_by_method_table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each data set, budget, method and count: means over the seeds.

    Args:
        runs: from `records_by_method.runs`.
    """
    means = _means(runs)
    shown = {m.title: means[m.column].map(f"{{:.{m.digits}f}}".format) for m in (*_SHOWN, FRECHET)}
    about = {
        "data set": means["dataset"].map(DATASET_TITLES),
        "epsilon": means["epsilon"].map("{:g}".format),
        "method": means["method"],
        "records": means["num_records"].map("{:,.0f}".format),
        "seeds": means["seeds"],
    }
    return pd.DataFrame(about | shown).set_index("data set")


def records_by_method_report(found: Mapping[str, Any]) -> str:
    """How many of the study's own runs are committed; Markdown.

    Args:
        found: from `load_records_by_method`.
    """
    there = [point.name() in found.get("points", {}) for point in points()]
    return f"Of the {len(there)} runs with fewer records {sum(there)} are committed."


def _means(runs: pd.DataFrame) -> pd.DataFrame:
    """Over the seeds, in the order of the study and by growing count; g2r in percent."""
    orders = {"dataset": DATASETS, "epsilon": EPSILONS, "method": METHODS}
    ordered = runs.assign(**{n: pd.Categorical(runs[n], values) for n, values in orders.items()})
    groups = ordered.groupby([*orders, "num_records"], observed=True)
    means = groups.mean(numeric_only=True).assign(seeds=groups.size()).reset_index()
    means[G2R.column] *= 100
    return means.astype(dict.fromkeys(orders, object))
