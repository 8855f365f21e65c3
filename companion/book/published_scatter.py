"""g2r against epsilon: what was measured here, and what others report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from companion.book.direct_labels import Label, label_margin
from companion.book.figures import COLORS
from companion.book.measures import G2R
from companion.book.published_tables import published_figures
from companion.book.scatter import KINDS, finish, means
from companion.book.tables import DATASET_TITLES
from companion.studies.campaign import NON_PRIVATE
from dpgen_core.records.sheets import new_figure

_CURVES = ("gaussian", "mixture", "efsgd", "efsgd-prior", "dp-sgd-critic/with-prior")
_SHOWN = ("mnist", "fashion_mnist")
_LOW = 2.0  # published points up to this epsilon are named to the left


def against_published(runs: pd.DataFrame, published: Path) -> Figure:
    """g2r against epsilon: curves through the means of ours, hollow marks for what others report.

    Args:
        runs: from `tables.runs_frame`.
        published: ``book/published.csv``. Each of its figures has another accounting, another
            neighboring relation or another protocol than ours, so all are hollow.
    """
    figure = new_figure(6.2, 9.6)
    figure.set_layout_engine("none")
    for place, dataset in enumerate(_SHOWN):
        axes = figure.add_axes((0.30, 0.585 - 0.455 * place, 0.36, 0.37))
        left: list[Label] = []
        right: list[Label] = []
        for method in _CURVES:
            curve = _curve(runs, dataset, method)
            if curve.empty:
                continue
            color = KINDS[method.partition("/")[0]][0]
            style = "-" if method in ("gaussian", "efsgd", "efsgd-prior") else "--"
            axes.plot(curve.index, curve, style, marker="o", color=color, markersize=4.5)
            right.append(Label(curve.index[-1], curve.iloc[-1], method, color))
        for _, row in _accuracies(published, dataset).iterrows():
            marker = "D" if row["note"] == "diffusion" else "s"
            axes.plot(
                row["epsilon"], row["value"], marker, color="black", mfc="white", markersize=5
            )
            name = str(row["method"]).replace(" (accuracy)", "").replace("DPImageBench", "bench")
            side = left if row["epsilon"] <= _LOW else right
            side.append(Label(row["epsilon"], row["value"], name, "black"))
        axes.set_xscale("log")
        axes.set_xlim(0.4, 25)
        axes.set_xticks([0.5, 1, 3, 10, 20], labels=["0.5", "1", "3", "10", "20"])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        finish(axes, "epsilon (log scale)", DATASET_TITLES[dataset])
        axes.set_ylabel("")
        label_margin(axes, left, left=True)
        label_margin(axes, right)
    kinds = [("black", "s", "published"), ("black", "D", "published, diffusion")]
    marks = [
        Line2D([], [], color=color, marker=marker, mfc="white", linewidth=0, label=text)
        for color, marker, text in kinds
    ]
    ours = Line2D([], [], color=COLORS[0], marker="o", markersize=4.5, label="measured here")
    figure.legend(handles=[ours, *marks], loc="lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def against_published_alt(runs: pd.DataFrame, published: Path) -> str:
    """What is seen: the highest point of ours and of others on each data set at epsilon 10."""
    seen = []
    for dataset in _SHOWN:
        ours = means(runs, dataset=dataset, epsilon=10.0)
        ours = ours[ours.index.isin(list(_CURVES))]
        theirs = _accuracies(published, dataset)
        theirs = theirs[theirs["epsilon"] == 10.0]
        if ours.empty or theirs.empty:
            continue
        best = ours[G2R.column].sort_values(ascending=False)
        top = theirs.sort_values("value", ascending=False).iloc[0]
        seen.append(
            f"On {DATASET_TITLES[dataset]} at epsilon 10 the highest curve is {best.index[0]} at "
            f"{best.iloc[0]:.1f} %, the highest published mark {top['method']} at "
            f"{top['value']:g} %."
        )
    return " ".join(
        ["Accuracy against epsilon: curves of our methods, hollow marks of others.", *seen]
    )


def _curve(runs: pd.DataFrame, dataset: str, method: str) -> pd.Series:
    """Mean g2r over seeds by target epsilon, without the runs that have next to no noise."""
    rows = runs[(runs["dataset"] == dataset) & (runs["method"] == method)]
    return rows[rows["target_epsilon"] < NON_PRIVATE].groupby("target_epsilon")[G2R.column].mean()


def _accuracies(published: Path, dataset: str) -> pd.DataFrame:
    """Published accuracies at a stated epsilon, epsilon and value as numbers."""
    table = published_figures(published)
    table = table[(table["dataset"] == dataset) & table["metric"].isin(["g2r", "g2r_cnn"])].copy()
    table["epsilon"] = pd.to_numeric(table["epsilon"], errors="coerce")
    table["value"] = pd.to_numeric(table["value"])
    return table.dropna(subset=["epsilon"])
