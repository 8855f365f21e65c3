"""Methods as points at one budget: accuracy against likeness or against variety."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from companion.book.direct_labels import Label, label_margin
from companion.book.figures import COLORS
from companion.book.measures import FRECHET, G2R, Measure
from companion.book.tables import DATASET_TITLES
from dpgen_core.config.presets import WHOLE
from dpgen_core.records.sheets import new_figure

# Kinds of methods: base name, color and title.
KINDS: Mapping[str, tuple[str, str]] = {
    "efsgd-prior": (COLORS[2], "owners on a prior"),
    "efsgd-critic": (COLORS[3], "one critic"),
    "dp-sgd-critic": (COLORS[3], "one critic"),
    "efsgd": (COLORS[1], "owners"),
    "gs-wgan": (COLORS[1], "owners"),
    "dp-gan-dpac": (COLORS[1], "owners"),
    "gaussian": (COLORS[0], "one release, no training"),
    "mixture": (COLORS[0], "one release, no training"),
}


def tradeoff(runs: pd.DataFrame, *, dataset: str, measure: Measure, epsilon: float) -> Figure:
    """g2r against another measure: a mark per whole method, its mean over seeds, named.

    Real images are a star where the measure has a figure for them, and a dashed line of accuracy.

    Args:
        runs: from `tables.runs_frame`.
        dataset: a key of `DATASETS`.
        measure: on the horizontal axis; the Frechet distance is drawn on a log scale.
        epsilon: target budget.
    """
    rows = means(runs, dataset=dataset, epsilon=epsilon)
    figure = new_figure(6.2, 5.2)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.11, 0.12, 0.49, 0.70))
    labels = []
    for name, row in rows.iterrows():
        color = KINDS[str(name).partition("/")[0]][0]
        axes.plot(row[measure.column], row[G2R.column], "o", color=color, markersize=6)
        labels.append(Label(row[measure.column], row[G2R.column], str(name), color))
    real = runs[runs["dataset"] == dataset]
    ceiling = float(real["real_cnn"].mean())
    if ceiling == ceiling:
        axes.axhline(ceiling, color="black", linestyle="--", linewidth=0.9)
        floor = float(real["frechet_floor"].mean())
        at = floor if measure is FRECHET else float("nan")
        if at == at:
            axes.plot(at, ceiling, "*", color="black", markersize=13)
        labels.append(
            Label(axes.get_xlim()[1] if at != at else at, ceiling, "real images", "black")
        )
    if measure is FRECHET and len(rows):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    note = ", log scale; smaller is better" if measure is FRECHET else "; more is better"
    finish(axes, f"{measure.title}{note}", f"{DATASET_TITLES[dataset]}, epsilon {epsilon:g}")
    label_margin(axes, labels)
    present = {KINDS[str(name).partition("/")[0]] for name in rows.index}
    _legend(figure, [kind for kind in dict.fromkeys(KINDS.values()) if kind in present])
    return figure


def tradeoff_alt(runs: pd.DataFrame, *, dataset: str, measure: Measure, epsilon: float) -> str:
    """What is seen: the ends of both axes, and how many methods lie between."""
    rows = means(runs, dataset=dataset, epsilon=epsilon)
    if rows.empty:
        return "A chart without points: no record is committed yet."
    column = rows[measure.column].dropna().sort_values(ascending=not measure.more_is_better)
    ranked = rows[G2R.column].sort_values(ascending=False)
    best = "" if column.empty else f" Best by {measure.title}: {_end(column, 0, measure.digits)}."
    return (
        f"{len(rows)} methods on {DATASET_TITLES[dataset]} at epsilon {epsilon:g}, accuracy against "
        f"{measure.title}. Highest: {_end(ranked, 0, 1)} %, lowest: {_end(ranked, -1, 1)} %.{best}"
    )


def _end(ranked: pd.Series, place: int, digits: int) -> str:
    return f"{ranked.index[place]} at {ranked.iloc[place]:.{digits}f}"


def means(runs: pd.DataFrame, *, dataset: str, epsilon: float) -> pd.DataFrame:
    """Mean over the seeds of each whole method, in the order of the book."""
    at = runs[(runs["dataset"] == dataset) & (runs["target_epsilon"] == epsilon)]
    at = at[at["method"].isin(list(WHOLE))]
    return at.groupby("method", sort=False).mean(numeric_only=True)


def _legend(figure: Figure, kinds: list[tuple[str, str]]) -> None:
    marks = [
        Line2D([], [], color=color, marker="o", linewidth=0, label=title) for color, title in kinds
    ]
    figure.legend(
        handles=marks,
        loc="upper center",
        ncols=2,
        frameon=False,
        fontsize=10,
        bbox_to_anchor=(0.5, 1.0),
    )


def finish(axes: Axes, x_label: str, title: str) -> None:
    """Labels of an accuracy chart."""
    axes.set_xlabel(x_label, fontsize=10)
    axes.set_ylabel(G2R.title, fontsize=10)
    axes.set_title(title, fontsize=11, loc="left")
    axes.tick_params(labelsize=10)
    axes.spines[["top", "right"]].set_visible(False)
