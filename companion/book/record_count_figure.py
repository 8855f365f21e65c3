"""How many records a budget needs: accuracy against N, and the rules that `dpgen check` warns by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from companion.book.figures import COLORS
from companion.book.tables import DATASET_TITLES
from companion.studies.record_counts import KINDS, fitted, shares
from dpgen_core.delivery.survey import LIMITS
from dpgen_core.records.sheets import new_figure

_MARKS = ("o", "s", "^")


def record_count_figure(found: Mapping[str, Any]) -> Figure:
    """A panel of accuracy by budget for each data set, and one of all releases with their rules.

    Args:
        found: from `load_record_counts`.
    """
    made = shares(found)
    names = list(made["dataset"].unique())
    down = -(-(len(names) + 1) // 2)  # two beside each other, the rules last
    figure = new_figure(6.6, 2.8 * down)
    grid = figure.subplots(down, 2).flat
    for axes, name in zip(grid, names, strict=False):
        _accuracies(axes, _of(found, name), DATASET_TITLES[name])
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        **{"loc": "outside upper center", "ncols": 4, "frameon": False, "fontsize": 10},
    )
    _rules(grid[len(names)], made, found)
    for axes in list(grid)[len(names) + 1 :]:
        axes.set_axis_off()
    return figure


def record_count_alt(found: Mapping[str, Any]) -> str:
    """What is seen: where each data set's curves start and end."""
    made = shares(found)
    said = []
    for name, rows in made.groupby("dataset", sort=False):
        ends = rows.sort_values(["num_records", "epsilon"])
        least, most = ends.iloc[0], ends.iloc[-1]
        said.append(
            f"{DATASET_TITLES[str(name)]} from {100 * least['accuracy']:.0f} % "
            f"({least['num_records']:,.0f} records, epsilon {least['epsilon']:g}) to "
            f"{100 * most['accuracy']:.0f} % ({most['num_records']:,.0f}, {most['epsilon']:g})"
        )
    return (
        f"Accuracy rises with the number of records and with epsilon: {'; '.join(said)}. In a last panel "
        "the releases of each data set lie near a falling curve of accuracy against noise."
    )


def record_count_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """g2r in percent by data set and number of records, a column for each budget.

    Args:
        found: from `load_record_counts`.
    """
    frame = pd.DataFrame(list(found["points"].values()))
    frame["g2r (%)"] = 100 * frame["accuracy"]
    frame["epsilon"] = [_budget(value) for value in frame["epsilon"]]
    frame["data"] = frame["dataset"].map(DATASET_TITLES)
    table = frame.pivot_table("g2r (%)", ["data", "num_records"], "epsilon", sort=False)
    return table.rename_axis(index={"num_records": "records"}).round(1)


def rule_text(found: Mapping[str, Any]) -> str:
    """A Markdown list: what the command calls few and hopeless for each kind, and how well that fits."""
    made, lines = shares(found), []
    for name, rows in made.groupby("dataset", sort=False):
        rule, kind = fitted(found, str(name)), KINDS[str(name)]
        few, hopeless = LIMITS[kind]
        left = [100 * rule.share(noise) for noise in (few, hopeless)]
        pairs = zip(rows["mean_noise"], rows["share"], strict=True)
        gap = 100 * max(abs(rule.share(noise) - share) for noise, share in pairs)
        lines.append(
            f"- `{kind}` ({DATASET_TITLES[str(name)]}): few past a noise of {few:g}, where "
            f"{left[0]:.0f} % of what real images teach is left, hopeless past {hopeless:g}, where "
            f"{left[1]:.0f} % is. The furthest of {len(rows)} releases is {gap:.0f} points off its curve."
        )
    return "\n".join(lines)


def _of(found: Mapping[str, Any], dataset: str) -> pd.DataFrame:
    frame = pd.DataFrame([p for p in found["points"].values() if p["dataset"] == dataset])
    where = ["num_records", "epsilon"]
    means = frame.groupby(where, dropna=False).agg({"accuracy": "mean", "classes": "first"})
    return means.reset_index()


def _budget(epsilon: float | None) -> str:
    return f"epsilon {epsilon:g}" if pd.notna(epsilon) else "the records"


def _accuracies(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    budgets = [*sorted(rows["epsilon"].dropna().unique()), None]
    for place, epsilon in enumerate(budgets):
        chosen = rows["epsilon"].isna() if epsilon is None else rows["epsilon"] == epsilon
        some = rows[chosen]
        style: dict[str, Any] = {"color": COLORS[place], "marker": _MARKS[place % 3]}
        if epsilon is None:
            style = {"color": "black", "linestyle": "--"}
        per_class = some["num_records"] / some["classes"]
        accuracy = 100 * some["accuracy"]
        axes.plot(per_class, accuracy, label=_budget(epsilon), markersize=4, **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set_xlabel("records per class", fontsize=10)
    _finish(axes, "g2r (%)", title)


def _rules(axes: Axes, made: pd.DataFrame, found: Mapping[str, Any]) -> None:
    for place, (name, rows) in enumerate(made.groupby("dataset", sort=False)):
        color, title = COLORS[place + 3], DATASET_TITLES[str(name)]
        noise, share = rows["mean_noise"], 100 * rows["share"]
        axes.plot(noise, share, _MARKS[place % 3], color=color, markersize=4, label=title)
        if len(rows) >= 3:
            rule = fitted(found, str(name))
            along = np.geomspace(noise.min(), noise.max(), 100)
            axes.plot(along, [100 * rule.share(value) for value in along], color=color, linewidth=1)
    for left in (80, 50):
        axes.axhline(left, color="gray", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("noise of a class mean", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    _finish(axes, "% of the accuracy left", "All releases")


def _finish(axes: Axes, y_label: str, title: str) -> None:
    axes.set_ylabel(y_label, fontsize=10)
    axes.set_title(title, fontsize=11, loc="left")
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
