"""Figures: sample sheets and curves, as matplotlib `Figure` objects without pyplot state."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from dpgen_core.checks import check_int, require

# the palette of Okabe & Ito: told apart with any color vision
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DPI = 120


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, drawn by Agg."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def sample_sheet(
    images: Tensor,
    labels: Tensor,
    *,
    per_class: int = 10,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """The first images of each class, one row per class; white where there are too few.

    Args:
        images: (n, c, h, w) in [0, 1], c = 1 or 3.
        labels: (n,).
        per_class: images per row.
        class_names: row names, one row each; None shows the labels that occur.
        title: above the sheet.

    Raises:
        InvalidArgument: no images, or not one label per image.
    """
    classes = _classes([labels], class_names)
    figure = new_figure(0.42 * per_class + 1.0, 0.42 * len(classes) + 0.5)
    _draw_sheet(figure.add_subplot(), images, labels, per_class, classes, class_names)
    if title:
        figure.suptitle(title, fontsize=9, wrap=True)
    return figure


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
    classes = _classes([labels for _, labels in sheets.values()], class_names)
    figure = new_figure((0.36 * per_class + 0.7) * len(sheets), 0.36 * len(classes) + 0.5)
    for index, (name, (images, labels)) in enumerate(sheets.items()):
        axes = figure.add_subplot(1, len(sheets), index + 1)
        _draw_sheet(axes, images, labels, per_class, classes, class_names)
        axes.set_title(name, fontsize=9)
        if index:
            axes.set_yticks([])
    return figure


def plot_history(history: pd.DataFrame) -> Figure:
    """Public figures of a run: epsilon spent, and the release's norm against the noise's.

    Args:
        history: ``history.csv`` of a record; without rounds the figure says so.
    """
    if history.empty:
        return _notice("no rounds")
    figure = new_figure(7.0, 2.6)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    rounds = history["round"]
    spent = {"RDP": history["epsilon_rdp"]}
    plot_curves(left, rounds, spent, x_label="round", y_label="epsilon spent")
    norms = {"release": history["release_norm"], "noise alone": history["noise_norm_expected"]}
    plot_curves(right, rounds, norms, x_label="round", y_label="Euclidean norm")
    return figure


def plot_diagnostics(diagnostics: pd.DataFrame) -> Figure:
    """Private figures of a run, outside the guarantee: clipping cosine and norms.

    Args:
        diagnostics: ``diagnostics.csv`` of a record; without rounds the figure says so.
    """
    if diagnostics.empty:
        return _notice("no rounds")
    figure = new_figure(7.0, 2.6)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    rounds = diagnostics["round"]
    cosine = {"clipped against unclipped sum": diagnostics["clip_cosine"]}
    plot_curves(left, rounds, cosine, x_label="round", y_label="cosine")
    norms = {
        "contribution before clip": diagnostics["norm_mean"],
        "sum of contributions": diagnostics["signal_norm"],
    }
    plot_curves(right, rounds, norms, x_label="round", y_label="Euclidean norm")
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
        table: from `tables.frame`: columns ``method``, ``target_epsilon``, `epsilon` and `value`;
            runs without the value are left out.
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


def png_bytes(figure: Figure, *, colors: int | None = None) -> bytes:
    """The figure as PNG; the same figure gives the same bytes.

    Args:
        figure: what to draw.
        colors: size of the palette, 2 to 256, for a file a fraction as large; None keeps all colors.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    if colors is None:
        return buffer.getvalue()
    small = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(colors).save(small, format="PNG", optimize=True)
    return small.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG atomically; the same figure gives the same bytes.

    Raises:
        InvalidArgument: a name that does not end in ``.png``.
    """
    path = Path(path)
    fix = str(path.with_suffix(".png").name)
    require(path.suffix == ".png", "path", path.name, "a name ending in .png", fix)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        partial.write_bytes(png_bytes(figure))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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


def _classes(labels: Sequence[Tensor], class_names: Sequence[str] | None) -> list[int]:
    """The rows of a sheet: all named classes, else all labels that occur."""
    if class_names is not None:
        return list(range(len(class_names)))
    return torch.cat(list(labels)).unique().tolist()


def _draw_sheet(
    axes: Axes,
    images: Tensor,
    labels: Tensor,
    per_class: int,
    classes: Sequence[int],
    class_names: Sequence[str] | None,
) -> None:
    require(
        images.dim() == 4 and len(images) == len(labels) > 0 and images.shape[1] in (1, 3),
        "images",
        (tuple(images.shape), tuple(labels.shape)),
        "(n, 1 or 3, h, w) with n > 0 and one label each",
        "images.unsqueeze(1) for gray images",
    )
    check_int("per_class", per_class, low=1, fix="per_class=10")
    rows = []
    for label in classes:
        chosen = images[labels == label][:per_class]
        blank = images.new_ones(per_class - len(chosen), *images.shape[1:])
        rows.append(torch.cat([*torch.cat([chosen, blank])], dim=2))  # (c, h, per_class w)
    sheet = torch.cat(rows, dim=1).clamp(0, 1)  # (c, classes h, per_class w)
    pixels = np.asarray(sheet.permute(1, 2, 0).cpu())
    gray = pixels.shape[2] == 1
    axes.imshow(
        pixels[:, :, 0] if gray else pixels,
        cmap="gray" if gray else None,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    height = images.shape[2]
    axes.set_yticks([height * (row + 0.5) - 0.5 for row in range(len(classes))])
    names = [str(label) if class_names is None else class_names[label] for label in classes]
    axes.set_yticklabels(names, fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
