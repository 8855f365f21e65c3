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
from torch import Tensor

from dpgen_core.checks import require

# Okabe & Ito: told apart with any color vision
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
    """The first images of each class, one row per class.

    Args:
        images: (n, c, h, w) in [0, 1].
        labels: (n,).
        per_class: images per row.
        class_names: row names; None shows the label numbers.
        title: above the sheet.
    """
    figure = new_figure(0.42 * per_class + 1.0, 0.42 * len(labels.unique()) + 0.5)
    _draw_sheet(figure.add_subplot(), images, labels, per_class, class_names)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def compare_sheets(
    sheets: Mapping[str, tuple[Tensor, Tensor]],
    *,
    per_class: int = 8,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Several sample sheets side by side under their names."""
    require(len(sheets) > 0, "sheets", dict(sheets), "at least one sheet", "a name and its images")
    rows = max(len(labels.unique()) for _, labels in sheets.values())
    figure = new_figure((0.36 * per_class + 0.5) * len(sheets), 0.36 * rows + 0.5)
    for index, (name, (images, labels)) in enumerate(sheets.items()):
        axes = figure.add_subplot(1, len(sheets), index + 1)
        _draw_sheet(axes, images, labels, per_class, class_names)
        axes.set_title(name, fontsize=9)
    return figure


def plot_history(history: pd.DataFrame) -> Figure:
    """Public figures of a run: epsilon spent, and the release's norm against the noise's."""
    figure = new_figure(7.0, 2.6)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    plot_curves(left, history["round"], {"epsilon (RDP)": history["epsilon_rdp"]}, "epsilon spent")
    norms = {"release": history["release_norm"], "noise alone": history["noise_norm_expected"]}
    plot_curves(right, history["round"], norms, "Euclidean norm, units of C")
    return figure


def plot_diagnostics(diagnostics: pd.DataFrame) -> Figure:
    """Private figures of a run, outside the guarantee: clipping cosine and norms."""
    figure = new_figure(7.0, 2.6)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    rounds = diagnostics["round"]
    cosine = {"clipped against unclipped sum": diagnostics["clip_cosine"]}
    plot_curves(left, rounds, cosine, "cosine")
    norms = {"contribution before clip": diagnostics["norm_mean"]}
    plot_curves(right, rounds, norms | {"sum": diagnostics["signal_norm"]}, "Euclidean norm")
    return figure


def plot_curves(
    axes: Axes, x: Sequence[float] | pd.Series, curves: Mapping[str, object], y_label: str
) -> None:
    """Named curves over `x` (rounds) on given axes."""
    for color, (name, values) in zip(COLORS, curves.items(), strict=False):
        axes.plot(x, values, color=color, label=name, linewidth=1.4)  # type: ignore[arg-type]
    axes.set_xlabel("round")
    axes.set_ylabel(y_label)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG atomically."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(png_bytes(figure))
    os.replace(partial, path)


def _draw_sheet(
    axes: Axes,
    images: Tensor,
    labels: Tensor,
    per_class: int,
    class_names: Sequence[str] | None,
) -> None:
    classes = labels.unique().tolist()
    rows = []
    for label in classes:
        chosen = images[labels == label][:per_class]
        missing = per_class - len(chosen)
        blank = images.new_zeros(missing, *images.shape[1:])
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
    axes.set_yticks([height * (row + 0.5) for row in range(len(classes))])
    axes.set_yticklabels(
        [str(c) if class_names is None else class_names[c] for c in classes], fontsize=8
    )
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
