"""Figures: sample sheets and curves, as matplotlib `Figure` objects without pyplot state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dpgen_core.checks import require
from dpgen_core.files import whole
from dpgen_core.records.sheets import _draw_sheet, _rows, new_figure, png_bytes

# The palette of Okabe & Ito, distinguishable with any color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def compare_sheets(
    sheets: Mapping[str, tuple[Tensor, Tensor]],
    *,
    per_class: int = 8,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Several sample sheets side by side under their names, with the same rows.

    Args:
        sheets: name -> (images, labels), see `sample_sheet`.
        per_class: images per row.
        class_names: see `sample_sheet`.

    Raises:
        InvalidArgument: no sheets, or see `sample_sheet`.
    """
    require(len(sheets) > 0, "sheets", dict(sheets), "at least one sheet", "a name and its images")
    rows = _rows([labels for _, labels in sheets.values()], class_names)
    figure = new_figure((0.36 * per_class + 0.7) * len(sheets), 0.36 * len(rows) + 0.5)
    for index, (name, (images, labels)) in enumerate(sheets.items()):
        axes = figure.add_subplot(1, len(sheets), index + 1)
        _draw_sheet(axes, images, labels, per_class, rows)
        axes.set_title(name, fontsize=9)
        if index:
            axes.set_yticks([])
    return figure


def plot_history(history: pd.DataFrame) -> Figure:
    """Public figures of a run: epsilon spent, and the release's norm against the noise's.

    Args:
        history: ``history.csv`` of a record; without rounds the figure says so.
    """
    spent = {"RDP": "epsilon_rdp"}
    norms = {"release": "release_norm", "noise alone": "noise_norm_expected"}
    return _plot_rounds(history, spent, "epsilon spent", norms)


def plot_diagnostics(diagnostics: pd.DataFrame) -> Figure:
    """Private figures of a run, outside the guarantee: clipping cosine and norms.

    Args:
        diagnostics: ``diagnostics.csv`` of a record; without rounds the figure says so.
    """
    cosine = {"clipped against unclipped sum": "clip_cosine"}
    norms = {
        "contribution before clip": "norm_mean",
        "sum of contributions": "signal_norm",
    }
    return _plot_rounds(diagnostics, cosine, "cosine", norms)


def _plot_rounds(
    table: pd.DataFrame,
    first: Mapping[str, str],
    y_label: str,
    norms: Mapping[str, str],
) -> Figure:
    """Two panels over the column ``round``: `first`, and `norms`, as columns by name of the curve."""
    if table.empty:
        return _notice("no rounds")
    figure = new_figure(7.0, 2.6)
    panels = [(first, y_label), (norms, "Euclidean norm")]
    for index, (columns, label) in enumerate(panels):
        axes = figure.add_subplot(1, 2, index + 1)
        curves = {name: table[column] for name, column in columns.items()}
        plot_curves(axes, table["round"], curves, x_label="round", y_label=label)
    return figure


def budget_curve(
    table: pd.DataFrame,
    *,
    value: str = "g2r_cnn",
    y_label: str = "g2r CNN (%)",
    epsilon: str = "epsilon_pld",
) -> Figure:
    """Quality against privacy spent: a dot per run, a line per method through the seeds' means.

    Args:
        table: from `tables.runs_frame`: columns ``method``, ``target_epsilon``, `epsilon` and
            `value`; runs without the value are left out.
        value: column on the vertical axis.
        y_label: its name with unit.
        epsilon: column on the horizontal, logarithmic axis.
    """
    rows = table.dropna(subset=[value]) if value in table else table.iloc[:0]
    if rows.empty:
        return _notice("no runs")
    figure = new_figure(5.0, 3.2)
    axes = figure.add_subplot()
    for index, (method, runs) in enumerate(rows.groupby("method", sort=False)):
        color, dashes = _style(index)
        means = runs.groupby("target_epsilon")[[epsilon, value]].mean().sort_values(epsilon)
        axes.plot(runs[epsilon], runs[value], ".", color=color, alpha=0.5, markersize=5)
        axes.plot(
            means[epsilon],
            means[value],
            marker="o",
            markersize=4,
            color=color,
            linestyle=dashes,
            linewidth=1.4,
            label=str(method),
        )
    axes.set_xscale("log")
    _finish(axes, "epsilon (log scale)", y_label)
    return figure


def plot_curves(
    axes: Axes,
    x: Sequence[float] | pd.Series,
    curves: Mapping[str, Sequence[float] | pd.Series],
    *,
    x_label: str,
    y_label: str,
) -> None:
    """Named curves over `x` on given axes; after seven colors the dashes change."""
    for index, (name, values) in enumerate(curves.items()):
        color, dashes = _style(index)
        axes.plot(x, values, color=color, linestyle=dashes, label=name, linewidth=1.4)
    _finish(axes, x_label, y_label)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG atomically; the same figure gives the same bytes.

    Raises:
        InvalidArgument: a name that does not end in ``.png``.
    """
    path = Path(path)
    fix = str(path.with_suffix(".png").name)
    require(path.suffix == ".png", "path", path.name, "a name ending in .png", fix)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        partial.write_bytes(png_bytes(figure))


def _style(index: int) -> tuple[str, str]:
    """Color and dashes of the index-th curve."""
    return COLORS[index % len(COLORS)], ("-", "--", ":", "-.")[index // len(COLORS) % 4]


def _finish(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _notice(text: str) -> Figure:
    figure = new_figure(4.0, 1.0)
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure
