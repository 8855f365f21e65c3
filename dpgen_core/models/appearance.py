"""Appearance noise: random brightness, position, size and slant for every generated image.

Contributions are averages over many records and lose how these vary: strokes slanted left and
right average to upright ones. So the generator's last step draws this variation at random,

    shown(v) = exp(gain) * image(u),    u = center + [[width, slant], [0, height]] v,

with the gain and the map's five numbers (see `frames`) standard normal times a strength, learned
per class and number. Critics and losses see the images as shown. Source: ours; ``book/method.md``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dpgen_core.codes.frames import ENTRIES, affine_maps, warp

DRAWS = 1 + ENTRIES  # log brightness, center x, center y, log width, log height, slant
_START = (0.3, 0.05, 0.05, 0.1, 0.1, 0.1)  # strengths of an untrained generator
_FURTHEST = 3.0  # draws are clipped to this


class AppearanceNoise(nn.Module):
    """Vary how each image is shown, with the learned strengths of its class."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        # Standard deviation of each number, up to its sign, (classes, `DRAWS`).
        self.strength = nn.Parameter(torch.tensor(_START).repeat(num_classes, 1))

    def forward(self, images: Tensor, labels: Tensor, draws: Tensor) -> Tensor:
        """Images (n, c, h, w), labels (n,), standard normal draws (n, `DRAWS`) -> images."""
        bounded = draws.to(images).clamp(-_FURTHEST, _FURTHEST)
        return show(images, bounded * self.strength[labels])


def show(images: Tensor, numbers: Tensor) -> Tensor:
    """Brighten and warp images (n, c, h, w) in [0, 1] by `numbers` (n, `DRAWS`); 0: no change."""
    seen = warp(images, affine_maps(numbers[:, 1:]), mode="bilinear", beyond="border")
    return (seen * numbers[:, 0].exp()[:, None, None, None]).clamp(0, 1)
