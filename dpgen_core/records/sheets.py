"""Pictures of a record: sample sheets as PNG, without pyplot state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from dpgen_core.checks import check_int, require

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
        class_names: one per row; None shows the labels that occur.
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


def rounds_sheet(snapshots: Mapping[int, Tensor], *, colors: int | None = None) -> bytes | None:
    """The same latents after ever more rounds, one row each; None for a method without rounds."""
    if not snapshots:
        return None
    images = torch.cat([snapshots[n] for n in sorted(snapshots)]).float() / 255
    across = len(images) // len(snapshots)
    rows = torch.arange(len(snapshots)).repeat_interleave(across)
    names = [f"{n} rounds" for n in sorted(snapshots)]
    sheet = sample_sheet(images, rows, per_class=across, class_names=names)
    return png_bytes(sheet, colors=colors)


def png_bytes(figure: Figure, *, colors: int | None = None) -> bytes:
    """The figure as PNG; the same figure gives the same bytes.

    Args:
        figure: what to draw.
        colors: size of the palette, 2 to 256, for a much smaller file; None keeps all colors.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    if colors is None:
        return buffer.getvalue()
    small = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(colors).save(small, format="PNG", optimize=True)
    return small.getvalue()


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
    shapes = tuple(images.shape), tuple(labels.shape)
    good = images.dim() == 4 and len(images) == len(labels) > 0 and images.shape[1] in (1, 3)
    rule = "(n, 1 or 3, h, w) with n > 0 and one label each"
    require(good, "images", shapes, rule, "images.unsqueeze(1) for gray images")
    check_int("per_class", per_class, low=1, fix="per_class=10")
    rows = []
    for label in classes:
        chosen = images[labels == label][:per_class]
        blank = images.new_ones(per_class - len(chosen), *images.shape[1:])
        rows.append(torch.cat([*torch.cat([chosen, blank])], dim=2))  # (c, h, per_class w)
    sheet = torch.cat(rows, dim=1).clamp(0, 1)  # (c, classes h, per_class w)
    pixels = np.asarray(sheet.permute(1, 2, 0).cpu())
    if pixels.shape[2] == 1:
        axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(pixels, interpolation="nearest")
    height = images.shape[2]
    axes.set_yticks([height * (row + 0.5) - 0.5 for row in range(len(classes))])
    names = [str(label) if class_names is None else class_names[label] for label in classes]
    axes.set_yticklabels(names, fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
