"""A generator that draws in a canonical frame, and puts each image into a frame of its own.

With `appearance` an image is varied and then judged as it is shown, and the average that a cohort asks for
is taken over records that stand in many frames. Here the owners, too, take their records out of their
frames (`frames.FramedBasis`): averages are taken of upright digits in one place and of one size, and stay
sharp. An image is its canonical image and five numbers, and owners judge both together.

How far the five numbers spread is a public constant about handwriting; a cohort's targets would shrink it.
Where their middle lies is learned, per class. Source: ours.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dpgen_core.frames import ENTRIES, FramedBasis, bounded, from_canonical
from dpgen_core.models import ConvGenerator, Noise, draw_numbers

# Standard deviations of center x, center y, log width, log height and slant within a class.
_SPREAD = (0.05, 0.05, 0.2, 0.12, 0.25)


class FramedGenerator(ConvGenerator):
    """A `ConvGenerator` of canonical images, with a drawn frame for each.

    Args:
        *arguments: those of `ConvGenerator`.

    Attributes:
        middle: mean frame of each class, learned, (classes, `ENTRIES`).
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.middle = nn.Parameter(torch.zeros(self.num_classes, ENTRIES))

    def parts(self, latents: Tensor, labels: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Canonical images in [0, 1], (n, c, h, w), and the frame of each, (n, `ENTRIES`)."""
        images = super().forward(latents, labels, noise)
        draws = draw_numbers(noise, len(images), ENTRIES).to(images)  # (n, ENTRIES)
        return images, bounded(self.middle[labels] + draws * draws.new_tensor(_SPREAD))

    def forward(self, latents: Tensor, labels: Tensor, noise: Noise) -> Tensor:
        """Latents (n, latent_dim), labels (n,) -> images in their frames, in [0, 1], (n, c, h, w)."""
        return from_canonical(*self.parts(latents, labels, noise)).clamp(0, 1)

    def codes(self, basis: FramedBasis, latents: Tensor, labels: Tensor, noise: Noise) -> Tensor:
        """Codes (n, d) of the same images; their gradient says what to change in image and frame."""
        return basis.join(*self.parts(latents, labels, noise))
