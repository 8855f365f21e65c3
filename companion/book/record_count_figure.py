"""How many records a budget needs: accuracy against N, and the rule that `dpgen check` warns by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.book.figures import COLORS
from companion.book.tables import DATASET_TITLES
from companion.studies.record_counts import fitted, shares
from dpgen_core.delivery.survey import HOPELESS_NOISE, POOR_NOISE
from dpgen_core.records.sheets import new_figure

_MARKS = ("o", "s", "^")


def record_count_figure(found: Mapping[str, Any]) -> Figure:
    """A panel of accuracy by budget for each data set, and one of the rule over all of them.

    Args:
        found: from `load_record_counts`.
    """
    made = shares(found)
    names = list(made["dataset"].unique())
    figure = new_figure(6.6, 5.6)
    grid = figure.subplots(2, 2).flat
    for axes, name in zip(grid, names, strict=False):
        _accuracies(axes, _of(found, name), DATASET_TITLES[name])
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        **{"loc": "outside upper center", "ncols": 4, "frameon": False, "fontsize": 10},
    )
    _rule(grid[len(names)], made, found)
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
        f"Accuracy rises with the number of records and with epsilon: {'; '.join(said)}. A last panel "
        "has all releases near one falling curve of accuracy against noise."
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
    """The rule in a sentence."""
    rule, made = fitted(found), shares(found)
    pairs = zip(made["mean_noise"], made["share"], strict=True)
    gap = max(abs(rule.share(noise) - share) for noise, share in pairs)
    few, hopeless = (100 * rule.share(noise) for noise in (POOR_NOISE, HOPELESS_NOISE))
    return (
        f"Over {len(made)} releases the noise of a class mean, relative to the longest mean there can "
        f"be, decides: at {POOR_NOISE:g}, where the command calls records few, {few:.0f} % of the way "
        f"from chance to the accuracy of real images is left, and at {HOPELESS_NOISE:g}, where it calls "
        f"them hopeless, {hopeless:.0f} %. The furthest release is {100 * gap:.0f} % off the curve."
    )


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
    axes.set_xlabel("records per class", fontsize=10)
    _finish(axes, "g2r (%)", title)


def _rule(axes: Axes, made: pd.DataFrame, found: Mapping[str, Any]) -> None:
    for place, (name, rows) in enumerate(made.groupby("dataset", sort=False)):
        color, mark = COLORS[place + 3], _MARKS[place % 3]
        label = DATASET_TITLES[str(name)]
        axes.plot(
            rows["mean_noise"], 100 * rows["share"], mark, color=color, markersize=4, label=label
        )
    if len(made) >= 3:
        noise = np.geomspace(made["mean_noise"].min(), made["mean_noise"].max(), 100)
        rule = fitted(found)
        axes.plot(noise, [100 * rule.share(value) for value in noise], color="black", linewidth=1)
    for noise_level, name in ((POOR_NOISE, "few"), (HOPELESS_NOISE, "hopeless")):
        axes.axvline(noise_level, color="gray", linestyle=":", linewidth=1)
        axes.annotate(
            name, (noise_level, 1.0), xycoords=("data", "axes fraction"), fontsize=9,
            xytext=(2, -9), textcoords="offset points", color="dimgray",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("noise of a class mean", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    _finish(axes, "% of real images' accuracy", "All releases")


def _finish(axes: Axes, y_label: str, title: str) -> None:
    axes.set_ylabel(y_label, fontsize=10)
    axes.set_title(title, fontsize=11, loc="left")
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
