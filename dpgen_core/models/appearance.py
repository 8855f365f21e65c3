"""Appearance noise: brightness, place, size and slant, drawn anew for every image of the generator.

What a cohort of owners asks of an image is an average over their records. An average keeps the shape of a
class and loses how its records are shown: strokes that lean left and strokes that lean right average to
upright ones, dark shirts and bright shirts to gray ones. A classifier trained on such images has seen no
slant and no shade. So the generator's last step draws them,

    shown(v) = exp(gain) * image(u),    u = center + [[width, slant], [0, height]] v,

where the gain and the five numbers of the map (those of `frames`) are standard normal times a strength, one
per class and number, learned like every weight. This is the paper's noise injection, into how an image is
shown in place of its feature maps. It sees no record, so it costs no budget; critics and losses see the
images as shown. Source: ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dpgen_core.codes.frames import ENTRIES, affine_maps, warp

DRAWS = 1 + ENTRIES  # log brightness, center x, center y, log width, log height, slant
_START = (0.3, 0.05, 0.05, 0.1, 0.1, 0.1)  # strengths of an untrained generator
_FURTHEST = 3.0  # draws are kept within so many standard deviations


class AppearanceNoise(nn.Module):
    """Show each image as its draws say, by the strengths of its class.

    Args:
        num_classes: number of labels.

    Attributes:
        strength: standard deviation of each number, up to its sign, (classes, `DRAWS`).
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(_START).repeat(num_classes, 1))

    def forward(self, images: Tensor, labels: Tensor, draws: Tensor) -> Tensor:
        """Images (n, c, h, w), labels (n,), standard normal draws (n, `DRAWS`) -> same shape, in [0, 1]."""
        bounded = draws.to(images).clamp(-_FURTHEST, _FURTHEST)
        return show(images, bounded * self.strength[labels])


def show(images: Tensor, numbers: Tensor) -> Tensor:
    """Images (n, c, h, w) brighter or darker, moved, wider, higher or leaning, clipped to [0, 1].

    Args:
        images: in [0, 1]. Beyond their edge they go on as at their edge.
        numbers: log brightness and the map of each image, (n, `DRAWS`); zeros change nothing.
    """
    seen = warp(images, affine_maps(numbers[:, 1:]), mode="bilinear", beyond="border")
    return (seen * numbers[:, 0].exp()[:, None, None, None]).clamp(0, 1)
