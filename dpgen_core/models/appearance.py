"""Appearance noise: random brightness, position, size and slant for every generated image.

Owners' contributions are averages over many records. Averages preserve the shape of a class but
lose how its records vary: left- and right-slanted strokes average to upright ones, dark and bright
shirts to gray ones. So the generator's last step draws this variation at random,

    shown(v) = exp(gain) * image(u),    u = center + [[width, slant], [0, height]] v,

where the gain and the five numbers of the map (see `frames`) are standard normal times a strength,
learned per class and number. It is the paper's noise injection, applied to the image's appearance
instead of its feature maps. It uses no records and costs no budget; critics and losses see the
images as shown. Source: ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dpgen_core.codes.frames import ENTRIES, affine_maps, warp

DRAWS = 1 + ENTRIES  # log brightness, center x, center y, log width, log height, slant
_START = (0.3, 0.05, 0.05, 0.1, 0.1, 0.1)  # strengths of an untrained generator
_FURTHEST = 3.0  # draws are clipped to this


class AppearanceNoise(nn.Module):
    """Vary how each image is shown, with the learned strengths of its class.

    Attributes:
        strength: standard deviation of each number, up to its sign, (classes, `DRAWS`).
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(_START).repeat(num_classes, 1))

    def forward(self, images: Tensor, labels: Tensor, draws: Tensor) -> Tensor:
        """Images (n, c, h, w), labels (n,), standard normal draws (n, `DRAWS`) -> images."""
        bounded = draws.to(images).clamp(-_FURTHEST, _FURTHEST)
        return show(images, bounded * self.strength[labels])


def show(images: Tensor, numbers: Tensor) -> Tensor:
    """Change the images' brightness and warp them, as `numbers` (n, `DRAWS`) say.

    Images (n, c, h, w) in [0, 1] stay in [0, 1]; edge pixels are repeated beyond the edge. Zeros
    change nothing.
    """
    seen = warp(images, affine_maps(numbers[:, 1:]), mode="bilinear", beyond="border")
    return (seen * numbers[:, 0].exp()[:, None, None, None]).clamp(0, 1)
