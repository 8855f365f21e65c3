"""A picture file as square pixels: what a viewer shows, or a refusal.

Turned as its EXIF tag says, transparent pixels on white, of several frames the first, the middle
square, resized. Files of more than 8 bits do not say which value is white: scaled by the largest one
found, a picture would depend on other records, so the user states a public `maximum`. Source: ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from dpgen_core.checks import require

_COMMON = ("png", "jpg", "jpeg", "bmp", "gif", "webp", "avif", "tif", "tiff", "jp2")
_RARE = (
    "apng",
    "jpe",
    "jfif",
    "dib",
    "j2k",
    "jpx",
    "ppm",
    "pgm",
    "pbm",
    "pnm",
    "tga",
    "ico",
    "pcx",
)
ENDINGS = frozenset(f".{ending}" for ending in _COMMON + _RARE)
SMALLEST, LARGEST = 16, 128  # sides in pixels; multiples of 4
PREPARED = (
    "the middle square of each file, {color}, resized to this size; turned as its EXIF tag says, "
    "transparent pixels on white, of several frames the first"
)
_DEEP = re.compile(r"I|F|I;16.*")  # Pillow's modes of more than 8 bits a channel
_LOST = 100  # files that an error names at most


class Unreadable(Exception):
    """A file that no picture can be had from; the message says why, without the path."""


class TooDeep(Unreadable):
    """A file of more than 8 bits, of that `mode` of Pillow, where no maximum is given."""

    def __init__(self, mode: str) -> None:
        super().__init__(f"mode {mode}, which needs a maximum")
        self.mode = mode


def check_size(size: object) -> None:
    """Require a side in pixels that every method can make."""
    good = isinstance(size, int) and SMALLEST <= size <= LARGEST and size % 4 == 0
    rule = f"a multiple of 4 from {SMALLEST} to {LARGEST}"
    require(good and not isinstance(size, bool), "image_size", size, rule, "image_size=32")


def open_picture(path: Path) -> Image.Image:
    """The picture in a file, its pixels not read yet; raises `Unreadable`."""
    try:
        return Image.open(path)
    except Exception as error:  # whatever a decoder trips over
        raise Unreadable(_reason(error)) from error


def fit_picture(
    picture: Image.Image, *, channels: int, size: int, maximum: float | None
) -> np.ndarray:
    """Pixels (channels, size, size) as uint8; `channels` 1 is gray and 3 RGB.

    `maximum` is the value shown as white, and 0 is black, in a picture of more than 8 bits.

    Raises:
        Unreadable: damaged; `TooDeep`: of more than 8 bits without a `maximum`.
    """
    try:
        picture.draft(picture.mode, (2 * size, 2 * size))  # a large JPEG is decoded smaller
        upright = ImageOps.exif_transpose(picture)
        flat = _eight_bits(upright, maximum).convert("L" if channels == 1 else "RGB")
    except Unreadable:
        raise
    except Exception as error:  # whatever a decoder trips over
        raise Unreadable(_reason(error)) from error
    width, height = flat.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    pixels = np.asarray(flat.resize((size, size), Image.Resampling.BILINEAR, box=box))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def check_readable(lost: Mapping[str, str]) -> None:
    """Refuse files by name -> reason, all in one line."""
    named = ", ".join(f"{name} ({reason})" for name, reason in list(lost.items())[:_LOST])
    more = f" and {len(lost) - _LOST} more" if len(lost) > _LOST else ""
    rule, fix = f"readable: {len(lost)} are not", "whole copies of them, or leave them out"
    require(not lost, "images", named + more, rule, fix)


def check_depth(deep: Mapping[str, str]) -> None:
    """Refuse files that need a maximum, by name -> mode."""
    name, mode = next(iter(deep.items()), ("", ""))
    found = f"None with {len(deep)} files of more than 8 bits, such as {name} (mode {mode})"
    rule = "stated: the files do not say which value is white, and the records must not decide it"
    fix = "--maximum 65535 (maximum=65535) for the full range of 16 bits, 4095 for 12, 1 for shares"
    require(not deep, "maximum", found, rule, fix)


def _eight_bits(image: Image.Image, maximum: float | None) -> Image.Image:
    """The picture in a mode of 8 bits a channel, without transparency."""
    if _DEEP.fullmatch(image.mode):
        if maximum is None:
            raise TooDeep(image.mode)
        values = np.asarray(image, dtype=np.float64) / maximum
        if not np.isfinite(values).all():
            raise Unreadable("values that are not finite")
        return Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image


def _reason(error: Exception) -> str:
    """An exception in a few words: Pillow's own hold the path once more."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "no picture"
    return " ".join(str(error).split())[:80] or type(error).__name__
