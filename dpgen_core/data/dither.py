"""Dither: plain pixel noise on finished images. Public, so it costs no privacy.

A strong classifier learns the artifacts of a synthetic set in place of the classes; under noise it
cannot. So dither is also the control that every cleverer repair of samples has to beat. Ours.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from dpgen_core.checks import check_real
from dpgen_core.data.sets import ImageData
from dpgen_core.streams import stream

DITHER = 0.08  # the control's standard deviation: a twelfth of the range from black to white


def add_dither(images: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Images in [0, 1] of any shape, with noise of standard deviation `std` in [0, 1], clipped."""
    check_real("dither", std, low=0, high=1, fix=f"dither={DITHER}")
    noise = torch.randn(images.shape, generator=generator, device=generator.device)
    return (images + std * noise.to(images)).clamp(0, 1)


def dithered(data: ImageData, *, std: float = DITHER, seed: int = 0) -> ImageData:
    """The set with dither from a public seed."""
    images = add_dither(data.images, std, stream(seed, "dither"))
    return dataclasses.replace(data, images=images)
