"""Digits drawn from the fonts that matplotlib ships.

They stand in for MNIST without a network and serve as public data on which to choose constants.
Each font's digit becomes a signed distance field (distance to the outline, positive inside); a
record samples it through a random smooth map, and a random offset sets its stroke width. Ours.
"""

from __future__ import annotations

import functools
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from dpgen_core.checks import check_int
from dpgen_core.data.pictures import check_size
from dpgen_core.data.sources import DIGITS, DatasetSpec, Loaded, Shape, Subset
from dpgen_core.streams import stream

MAX_RECORDS = 60_000
_TEST_RECORDS = 10_000
_SIDE, _BOX = 28, 19  # about as in MNIST: image side and the box a digit fills, in pixels
_FINE = 4  # samples per pixel of the distance fields of small images
_FINEST = 256  # samples along a side of the distance field of a large one
_BATCH = 1_000  # bounds memory to about 100 MB, and at the largest size to 1 GB
# All that have ten digits: not the Display and size variants, nor the symbols of cmex10 and cmsy10.
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold"),
    *("DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmb10", "cmmi10", "cmr10", "cmss10", "cmtt10"),
)


class Glyphs:
    """A `sources.Source` that draws what it is asked for."""

    spec = DatasetSpec("glyphs", (1, _SIDE, _SIDE), DIGITS)
    splits = ("train", "test")

    def load(self, folder: Path, subset: Subset, shape: Shape) -> Loaded:
        """See `sources.Source`; no training split shares a random stream with any test split."""
        test = subset.split == "test"
        count = subset.num_records or (_TEST_RECORDS if test else MAX_RECORDS)
        images, labels = draw_glyphs(count, seed=2 * subset.seed + test, image_size=shape[1])
        return images.float().div_(255), labels

    def train_size(self, folder: Path, side: int) -> int:
        """Records drawn where no number is given."""
        return MAX_RECORDS

    def available(self, folder: Path, *, download: bool) -> bool:
        """True: no files are needed."""
        return True


def draw_glyphs(
    num_records: int, *, seed: int = 0, image_size: int = _SIDE
) -> tuple[Tensor, Tensor]:
    """Draw digits with a random font, stroke width, sharpness, affine map and elastic bend.

    The same seed and N, up to `MAX_RECORDS`, give the same records in every process, and at every
    `image_size`, a multiple of 4 from 16 to 128, the same digits: only their edges are as sharp as
    the pixels allow. Returns images uint8 (N, 1, side, side), white on black, about centered by
    mass, and labels int64 (N,), shuffled, with class counts that differ by at most one.
    """
    check_int("num_records", num_records, low=1, high=MAX_RECORDS, fix=f"num_records={MAX_RECORDS}")
    check_int("seed", seed, low=0, fix="seed=0")
    check_size(image_size)
    fields = _distance_fields(image_size)  # (fonts, 10, fine, fine)
    generator = stream(seed, "glyphs", num_records)
    labels = torch.arange(num_records) % 10
    labels = labels[torch.randperm(num_records, generator=generator)]
    fonts = torch.randint(len(fields), (num_records,), generator=generator)
    batches = zip(fonts.split(_BATCH), labels.split(_BATCH), strict=True)
    drawn = [_draw(fields[font, label], image_size, generator) for font, label in batches]
    return torch.cat(drawn), labels


@functools.cache
def _distance_fields(side: int) -> Tensor:
    """Signed distances to the outline in pixels of an image of that side, (fonts, 10, fine, fine)."""
    fields = [[_distance_field(str(digit), name, side) for digit in range(10)] for name in FONTS]
    return torch.from_numpy(np.array(fields, dtype=np.float32))


def _distance_field(text: str, name: str, side: int) -> np.ndarray:
    """One glyph, scaled to the box and centered by mass, as a signed distance field."""
    path = f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf"
    left, top, right, bottom = ImageFont.truetype(path, size=100).getbbox(text)
    fine = min(_FINE * side, _FINEST)
    box = _BOX * fine / _SIDE
    font = ImageFont.truetype(path, size=100 * box / max(right - left, bottom - top))
    image = Image.new("L", (fine, fine))
    ImageDraw.Draw(image).text((fine / 2, fine / 2), text, fill=255, font=font, anchor="mm")
    ink = np.asarray(image, dtype=np.float64)
    to_center = (fine - 1) / 2 - np.array(ndimage.center_of_mass(ink))
    inside = ndimage.shift(ink, to_center, order=1) >= 128
    distance = ndimage.distance_transform_edt
    return (distance(inside) - distance(~inside)) * side / fine


def _draw(fields: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Warp and ink distance fields; (n, fine, fine) -> uint8 (n, 1, side, side)."""
    n = len(fields)
    normal = torch.randn(n, 6, generator=generator).clamp(-2, 2)  # beyond, digits get cut off
    turn, shear = 0.12 * normal[:, 0], 0.2 * normal[:, 1]
    wide, high = torch.exp(0.10 * normal[:, 2]), torch.exp(0.05 * normal[:, 3])
    right, down = 0.025 * normal[:, 4], 0.025 * normal[:, 5]  # in half images: 0.35 pixels of 28
    cos, sin = turn.cos(), turn.sin()
    row1 = torch.stack([wide * cos, high * (shear * cos - sin), right], dim=1)
    row2 = torch.stack([wide * sin, high * (shear * sin + cos), down], dim=1)
    maps = torch.stack([row1, row2], dim=1)  # (n, 2, 3)
    grid = F.affine_grid(maps, [n, 1, side, side], align_corners=False)
    knots = 0.045 * torch.randn(n, 2, 5, 5, generator=generator).clamp(-2, 2)
    bend = F.interpolate(knots, size=(side, side), mode="bicubic", align_corners=True)
    grid = grid + bend.permute(0, 2, 3, 1)  # (n, side, side, 2)
    distance = F.grid_sample(fields[:, None], grid, padding_mode="border", align_corners=False)
    half_stroke = fields.amax(dim=(1, 2))  # in pixels, as is the distance, (n, 1, side, side)
    uniform = torch.rand(n, 2, generator=generator)
    thinnest = -0.15 * half_stroke  # more would break hairlines
    pixel = side / _SIDE  # strokes keep their share of the image
    thickest = (1.8 * pixel - half_stroke).clamp(min=0.1 * pixel)
    offset = thinnest + (thickest - thinnest) * uniform[:, 0]
    ramp = 1.0 + 0.8 * uniform[:, 1]  # pixels from black to white: sharp to slightly blurred
    ink = ((distance + offset[:, None, None, None]) / ramp[:, None, None, None] + 0.5).clamp(0, 1)
    return (ink * 255).round().to(torch.uint8)
