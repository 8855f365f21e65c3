"""An embedded data set: digits drawn from the fonts that matplotlib ships.

No download, no licence question: it stands in for MNIST where there is no network, and serves as the
public data on which constants (clip radii, spectra) may be looked up. Source: ours.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from dpgen_core.checks import check_int
from dpgen_core.streams import stream

MAX_RECORDS = 60_000
_SIDE, _FINE = 28, 84  # glyphs are drawn three times as fine as they end up
_STROKES = (0, 1, 2)  # outline widths in fine pixels
_FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Oblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Italic.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralItalic.ttf",
    "cmr10.ttf",
    "cmss10.ttf",
    "cmtt10.ttf",
)


def draw_glyphs(num_records: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw digits 0-9 with random font, stroke, affine map and bend.

    Args:
        num_records: N, 1 to 60,000.
        seed: the same seed gives the same records in every process.

    Returns:
        Images uint8 (N, 1, 28, 28), white on black, and labels int64 (N,), as even as N allows.

    Raises:
        InvalidArgument: N out of range.
    """
    check_int("num_records", num_records, low=1, high=MAX_RECORDS, fix="num_records=10000")
    check_int("seed", seed, low=0, fix="seed=0")
    templates = _templates()  # (variants, 10, fine, fine)
    generator = stream(seed, "glyphs", num_records)
    labels = torch.arange(num_records) % 10
    labels = labels[torch.randperm(num_records, generator=generator)]
    variant = torch.randint(len(templates), (num_records,), generator=generator)
    draws = torch.randn(num_records, 9, generator=generator)
    batches = [
        _distort(templates[v, y], d)
        for v, y, d in zip(variant.split(2000), labels.split(2000), draws.split(2000), strict=True)
    ]
    return torch.cat(batches), labels


def _templates() -> Tensor:
    """Every font, stroke and digit once, centered, (variants, 10, fine, fine) in [0, 1]."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    variants = []
    for name in _FONTS:
        font = ImageFont.truetype(str(folder / name), size=62)
        for stroke in _STROKES:
            digits = [_draw_digit(str(digit), font, stroke) for digit in range(10)]
            variants.append(np.stack(digits))
    return torch.from_numpy(np.stack(variants)).float() / 255


def _draw_digit(text: str, font: ImageFont.FreeTypeFont, stroke: int) -> np.ndarray:
    """One digit with its bounding box in the middle, uint8 (fine, fine)."""
    image = Image.new("L", (_FINE, _FINE))
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke)
    at = ((_FINE - right - left) / 2, (_FINE - bottom - top) / 2)
    ImageDraw.Draw(image).text(at, text, fill=255, font=font, stroke_width=stroke)
    return np.asarray(image)


def _distort(glyphs: Tensor, draws: Tensor) -> Tensor:
    """Random affine map and a smooth bend; (n, fine, fine) -> uint8 (n, 1, 28, 28)."""
    turn, shear = 0.12 * draws[:, 0], 0.2 * draws[:, 1]
    wide, high = torch.exp(0.12 * draws[:, 2]), torch.exp(0.08 * draws[:, 3])
    cos, sin = turn.cos(), turn.sin()
    matrix = torch.stack(
        [
            torch.stack([wide * cos, high * (shear * cos - sin), 0.03 * draws[:, 4]], dim=1),
            torch.stack([wide * sin, high * (shear * sin + cos), 0.03 * draws[:, 5]], dim=1),
        ],
        dim=1,
    )  # (n, 2, 3)
    grid = F.affine_grid(matrix, [len(glyphs), 1, _FINE, _FINE], align_corners=False)
    bend = 0.05 * draws[:, 6, None, None] * torch.sin(3.0 * grid[..., 1] + draws[:, 7, None, None])
    grid = torch.stack([grid[..., 0] + bend, grid[..., 1]], dim=-1)  # (n, fine, fine, 2)
    fine = F.grid_sample(glyphs[:, None], grid, align_corners=False)  # (n, 1, fine, fine)
    coarse = F.avg_pool2d(fine, _FINE // _SIDE)  # (n, 1, 28, 28)
    contrast = torch.exp(0.15 * draws[:, 8]).clamp(0.8, 1.4)[:, None, None, None]
    return ((coarse * contrast).clamp(0, 1) * 255).round().to(torch.uint8)
