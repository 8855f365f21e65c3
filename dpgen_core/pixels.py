"""Pixels as floats in [0, 1], or as bytes with 255 for 1, which take a quarter of the memory.

>>> to_floats(torch.tensor([0, 51, 255], dtype=torch.uint8))
tensor([0.0000, 0.2000, 1.0000])
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dpgen_core.checks import require

USUAL_VALUES = 3 * 32 * 32  # of an image, up to which work is parted by the number of images alone


def to_floats(images: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]; floats as they are."""
    return images if images.is_floating_point() else images.float().div_(255)


def to_bytes(images: Tensor) -> Tensor:
    """Floats in [0, 1] as uint8; bytes as they are."""
    return (images * 255).round_().to(torch.uint8) if images.is_floating_point() else images


def check_pixels(argument: str, images: Tensor) -> None:
    """Require finite values in [0, 1], or bytes; `images` is not empty."""
    if images.dtype == torch.uint8:
        return
    low, high = (float(end) for end in images.aminmax())  # NaN if any value is
    fix = "images / 255, which brings 8-bit values to values in [0, 1]"
    require(low >= 0 and high <= 1, argument, (low, high), "finite, from 0 to 1", fix)


def at_once(shape: Sequence[int], most: int) -> int:
    """How many images of a `shape` (c, h, w) to work on at once: `most`, or fewer of large ones.

    >>> [at_once((3, side, side), 1000) for side in (28, 32, 128)]
    [1000, 1000, 62]
    """
    values = math.prod(shape)
    return max(1, most * USUAL_VALUES // max(USUAL_VALUES, values))
