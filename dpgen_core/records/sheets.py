"""Pictures of a record: sample sheets as PNG, without pyplot state."""

from __future__ import annotations

import io
import itertools
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
_MOST_ROWS = 40


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

    `images` are (n, c, h, w) in [0, 1] with c = 1 or 3, `labels` (n,). Without `class_names` the
    rows are the labels that occur. Of many classes the first 40 are shown.

    Raises:
        InvalidArgument: no images, or not one label per image.
    """
    rows = dict(itertools.islice(_rows([labels], class_names).items(), _MOST_ROWS))
    cell = max(0.42, images.shape[-1] / _DPI)  # inches: no pixel of an image is lost
    figure = new_figure(cell * per_class + 1.0, cell * len(rows) + 0.5)
    _draw_sheet(figure.add_subplot(), images, labels, per_class, rows)
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

    A palette of 2 to 256 `colors` makes a much smaller file; None keeps all.
    """
    buffer = io.BytesIO()
    if colors is None:
        figure.savefig(buffer, format="png", metadata={"Software": None})
    else:  # the same pixels, in half the time: `savefig` draws once more, for the layout
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # (h, w, 3)
        # The usual way is best for shades of gray. It may drop a color that few pixels have, such as
        # that of a curve's marks.
        gray = bool((pixels[..., 1:] == pixels[..., :1]).all())
        method = Image.Quantize.MEDIANCUT if gray else Image.Quantize.MAXCOVERAGE
        small = Image.fromarray(pixels).quantize(colors, method=method)
        small.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _rows(labels: Sequence[Tensor], class_names: Sequence[str] | None) -> dict[int, str]:
    """The rows of a sheet, label and name: all named classes, else all labels that occur."""
    if class_names is not None:
        return dict(enumerate(class_names))
    return {label: str(label) for label in torch.cat(list(labels)).unique().tolist()}


def _draw_sheet(
    axes: Axes, images: Tensor, labels: Tensor, per_class: int, rows: Mapping[int, str]
) -> None:
    shapes = tuple(images.shape), tuple(labels.shape)
    good = images.dim() == 4 and len(images) == len(labels) > 0 and images.shape[1] in (1, 3)
    rule = "(n, 1 or 3, h, w) with n > 0 and one label each"
    require(good, "images", shapes, rule, "images.unsqueeze(1) for gray images")
    check_int("per_class", per_class, low=1, fix="per_class=10")
    strips = []
    for label in rows:
        chosen = images[labels == label][:per_class]
        blank = images.new_ones(per_class - len(chosen), *images.shape[1:])
        strips.append(torch.cat([*torch.cat([chosen, blank])], dim=2))  # (c, h, per_class w)
    sheet = torch.cat(strips, dim=1).clamp(0, 1)  # (c, rows h, per_class w)
    pixels = np.asarray(sheet.permute(1, 2, 0).squeeze(2).cpu())  # (rows h, per_class w[, 3])
    # The map and its ends are for gray alone.
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    height = images.shape[2]
    axes.set_yticks([height * (row + 0.5) - 0.5 for row in range(len(rows))])
    axes.set_yticklabels(list(rows.values()), fontsize=8, parse_math=False)  # names may hold $
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
