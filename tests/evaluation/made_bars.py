"""Small sets of three classes, for tests of judges."""

from __future__ import annotations

import torch

from dpgen_core.data.sets import ImageData

NAMES = ("top", "middle", "bottom")


def bars(count: int, seed: int, noise: float = 0.2) -> ImageData:
    """12 x 12: a bright horizontal bar at one of three heights, on noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = noise * torch.rand(count, 1, 12, 12, generator=generator)
    for row, label in enumerate(labels.tolist()):
        images[row, :, 4 * label : 4 * label + 2] += 0.7
    return ImageData("bars", images, labels, NAMES)
