"""Dither and grain: pixel noise on finished images. Public, so it costs no privacy.

A strong classifier learns the artifacts of a synthetic set in place of the classes; under noise it
cannot. *Dither* is the same everywhere, the control that every cleverer repair of samples has to beat.
*Grain* spares black, and each image has a strength of its own: a classifier sees clean images and noisy
ones, all on a black ground where the real ones have one. Ours.

>>> images = torch.zeros(2, 1, 4, 4)
>>> bool(add_grain(images, 0.5, stream(0, "grain")).any()), bool(add_dither(images, 0.1, stream(0)).any())
(False, True)
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from dpgen_core.checks import check_real
from dpgen_core.data.sets import ImageData
from dpgen_core.streams import stream

DITHER = 0.08  # the control's standard deviation: a twelfth of the range from black to white
GRAIN = 0.5  # found on held-out training records, see `companion.studies.sample_noise`
_MARK = 0.2  # brightness from which on a pixel has all of the grain


def add_dither(images: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Images in [0, 1] of any shape, with noise of standard deviation `std` in [0, 1], clipped."""
    check_real("dither", std, low=0, high=1, fix=f"dither={DITHER}")
    noise = torch.randn(images.shape, generator=generator, device=generator.device)
    return (images + std * noise.to(images)).clamp(0, 1)


def marks(images: Tensor) -> Tensor:
    """How far each pixel of images in [0, 1] is from black: 0 there, 1 from a fifth of white on."""
    return (images / _MARK).clamp(0, 1)


def add_grain(images: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Images (n, c, h, w) in [0, 1] with noise on what is not black, clipped.

    The standard deviation is uniform in [0, `largest`], drawn once for each image; `largest` is in
    [0, 1].
    """
    check_real("grain", largest, low=0, high=1, fix=f"grain={GRAIN}")
    level = torch.rand(len(images), 1, 1, 1, generator=generator, device=generator.device)
    noise = torch.randn(images.shape, generator=generator, device=generator.device)
    return (images + largest * marks(images) * (level * noise).to(images)).clamp(0, 1)


def dithered(data: ImageData, *, std: float = DITHER, seed: int = 0) -> ImageData:
    """The set with dither from a public seed."""
    images = add_dither(data.images, std, stream(seed, "dither"))
    return dataclasses.replace(data, images=images)


def grained(data: ImageData, *, largest: float = GRAIN, seed: int = 0) -> ImageData:
    """The set with grain from a public seed."""
    images = add_grain(data.images, largest, stream(seed, "grain"))
    return dataclasses.replace(data, images=images)
