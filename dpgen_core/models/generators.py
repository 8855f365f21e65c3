"""Generators: public networks from latents and labels to images.

>>> latents, labels = torch.zeros(2, 8), torch.tensor([0, 1])
>>> generator = ConvGenerator((1, 28, 28), 2, latent_dim=8, width=4, noise_form="pixel")
>>> generator(latents, labels, torch.Generator().manual_seed(0)).shape
torch.Size([2, 1, 28, 28])
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpgen_core.checks import require
from dpgen_core.codes.frames import ENTRIES, FramedBasis, bounded, from_canonical
from dpgen_core.models.appearance import DRAWS, AppearanceNoise
from dpgen_core.models.noise_injection import FORMS, Noise, NoiseForm, NoiseInjection, draw
from dpgen_core.prior.gaussian import FrequencyPrior


def doubled(features: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, c, 2h, 2w), nearest neighbor."""
    return F.interpolate(features, scale_factor=2)


def halvings(side: int) -> int:
    """How often a picture is halved on the way to its coarsest grid: twice, or down to 8 pixels.

    >>> [halvings(side) for side in (16, 28, 32, 36, 64, 128)]
    [2, 2, 2, 2, 3, 4]
    """
    count = 2
    while side % 2 ** (count + 1) == 0 and side // 2**count > 8:
        count += 1
    return count


def _form(name: str | None, stage: int, stages: int) -> NoiseForm | None:
    """The noise after one of so many stages; `name` None is without noise."""
    return None if name is None else FORMS[name].at(stage, stages)


class _Stage(nn.Module):
    """Twice the side, half the channels or as many, noise."""

    def __init__(self, channels: int, made: int, form: NoiseForm | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, made, 3, padding=1)
        self.noise = NoiseInjection(made, form)
        self.norm = nn.GroupNorm(4, made)

    def forward(self, features: Tensor, noise: Noise) -> Tensor:
        """(n, channels, h, w) -> (n, made, 2h, 2w)."""
        return F.leaky_relu(self.norm(self.noise(self.conv(doubled(features)), noise)), 0.2)


class ConvGenerator(nn.Module):
    """Class-conditional generator with `halvings` upsampling stages, for sides divisible by 4.

    It has `width` channels at full resolution, twice as many at half of it, and four times as many
    on all coarser grids. `noise_form` is a key of `noise_injection.FORMS`, or None.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int,
        latent_dim: int,
        width: int,
        noise_form: str | None,
        appearance_noise: bool = False,
    ) -> None:
        super().__init__()
        channels, height, _ = image_shape
        require(height % 4 == 0, "image_shape", image_shape, "divisible by 4", "28x28 or 32x32")
        count = halvings(height)
        self.latent_dim, self.num_classes, self._side = latent_dim, num_classes, height >> count
        self.project = nn.Linear(latent_dim + num_classes, 4 * width * self._side**2)
        self.label_bias = nn.Embedding(num_classes, 4 * width)
        self.norm = nn.GroupNorm(4, 4 * width)
        widths = [width * min(4, 2**k) for k in reversed(range(count + 1))]  # coarse to fine
        pairs = enumerate(itertools.pairwise(widths))
        self.stages = nn.ModuleList(
            _Stage(*pair, _form(noise_form, stage, count)) for stage, pair in pairs
        )
        self.to_image = nn.Conv2d(width, channels, 3, padding=1)
        self.appearance = AppearanceNoise(num_classes) if appearance_noise else None
        self.to(memory_format=torch.channels_last)  # a fifth faster on a CPU

    def forward(self, latents: Tensor, labels: Tensor, noise: Noise) -> Tensor:
        """Latents (n, latent_dim), labels (n,) -> images in [0, 1], (n, c, h, w)."""
        one_hot = F.one_hot(labels, self.num_classes).to(latents)
        x = self.project(torch.cat([latents, one_hot], dim=1))
        x = x.unflatten(1, (-1, self._side, self._side))  # (n, 4 width, coarsest side, same)
        x = F.leaky_relu(self.norm(x + self.label_bias(labels)[:, :, None, None]), 0.2)
        for stage in self.stages:
            x = stage(x, noise)
        images = torch.sigmoid(self.to_image(x))  # (n, c, h, w)
        if self.appearance is None:
            return images
        return self.appearance(images, labels, draw(noise, len(x), DRAWS))


# Gain and threshold by channels. Line drawings get more contrast: a Gaussian is grayer than ink.
_CONTRAST = {1: (8.0, 0.45), 3: (4.0, 0.5)}
Curve = Literal["logistic", "full-range"]
CURVES: tuple[Curve, ...] = ("logistic", "full-range")


def with_contrast(images: Tensor, curve: Curve) -> Tensor:
    """What an untrained `RefinerGenerator` makes of a prior's samples (n, c, h, w).

    The ``logistic`` curve makes gray of black and of white; ``full-range`` is its straight stretch
    that keeps both, and leaves [0, 1] where a sample does.

    >>> ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    >>> [[round(float(v), 3) for v in with_contrast(ends, curve)] for curve in CURVES]
    [[0.027, 0.988], [0.0, 1.0]]
    """
    gain, threshold = _CONTRAST[images.shape[1]]
    return stretched(torch.sigmoid(gain * (images - threshold)), curve)


def stretched(values: Tensor, curve: Curve) -> Tensor:
    """Values of the logistic curve (n, c, h, w), moved to those of `curve`.

    The ends are the untrained curve's own, for black and white are public: no record and no score
    decides them. Source: ours.
    """
    if curve == "logistic":
        return values
    gain, threshold = _CONTRAST[values.shape[1]]
    black, white = (1 / (1 + math.exp(-gain * (end - threshold))) for end in (0.0, 1.0))
    return (values - black) / (white - black)


class RefinerGenerator(nn.Module):
    """Refine samples of the released, fixed prior by more contrast and a learned residual.

    x = sigmoid(gain * (sample - threshold) + residual), a residual that is zero at first, and the
    stretch of `curve` on top. If the residual depends on the label (`by_label`), privacy noise
    leaves different artifacts in each class, by which a classifier may learn to tell classes apart.
    Source: ours; see ``book/method.md``.
    """

    def __init__(
        self,
        prior: FrequencyPrior,
        width: int,
        noise_form: str | None,
        by_label: bool = True,
        curve: Curve = "logistic",
    ) -> None:
        super().__init__()
        self.prior, self.latent_dim, self.curve = prior, prior.latent_dim, curve
        channels, classes = prior.basis.image_shape[0], len(prior.class_share)
        self.gain, self.threshold = (nn.Parameter(torch.tensor(v)) for v in _CONTRAST[channels])
        self.down0 = nn.Conv2d(channels, width, 3, padding=1)
        self.down1 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.label_bias = nn.Embedding(classes, 2 * width) if by_label else None
        self.middle = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.noise1 = NoiseInjection(2 * width, _form(noise_form, 0, 2))
        self.norm1 = nn.GroupNorm(4, 2 * width)
        self.up = nn.Conv2d(3 * width, width, 3, padding=1)
        self.noise2 = NoiseInjection(width, _form(noise_form, 1, 2))
        self.norm2 = nn.GroupNorm(4, width)
        self.to_image = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.to_image.weight)
        nn.init.zeros_(self.to_image.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # a fifth faster on a CPU

    def forward(self, latents: Tensor, labels: Tensor, noise: Noise) -> Tensor:
        """Latents (n, latent_dim), labels (n,) -> images in the range of `curve`, (n, c, h, w)."""
        start = self.prior.sample(latents, labels)  # (n, c, h, w)
        fine = F.leaky_relu(self.down0(start * 2 - 1), 0.2)  # (n, width, h, w)
        x = self.down1(fine)  # (n, 2 width, h/2, w/2)
        if self.label_bias is not None:
            x = x + self.label_bias(labels)[:, :, None, None]
        x = self.middle(F.leaky_relu(x, 0.2))
        x = F.leaky_relu(self.norm1(self.noise1(x, noise)), 0.2)
        x = self.up(torch.cat([doubled(x), fine], dim=1))  # (n, width, h, w)
        x = F.leaky_relu(self.norm2(self.noise2(x, noise)), 0.2)
        values = torch.sigmoid(self.gain * (start - self.threshold) + self.to_image(x))
        return stretched(values, self.curve)  # not clipped, which would stop the gradient


# Standard deviations of center x, center y, log width, log height and slant within a class.
_FRAME_STDS = (0.05, 0.05, 0.2, 0.12, 0.25)


class FramedGenerator(ConvGenerator):
    """Generate canonical images and a random frame for each (see `frames`)."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.middle = nn.Parameter(torch.zeros(self.num_classes, ENTRIES))  # mean frame by class

    def parts(self, latents: Tensor, labels: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Canonical images in [0, 1], (n, c, h, w), and the frame of each, (n, `ENTRIES`)."""
        images = super().forward(latents, labels, noise)
        draws = draw(noise, len(images), ENTRIES).to(images)  # (n, ENTRIES)
        return images, bounded(self.middle[labels] + draws * draws.new_tensor(_FRAME_STDS))

    def forward(self, latents: Tensor, labels: Tensor, noise: Noise) -> Tensor:
        """As in `ConvGenerator`; each image is placed in its frame."""
        return from_canonical(*self.parts(latents, labels, noise)).clamp(0, 1)

    def codes(self, basis: FramedBasis, latents: Tensor, labels: Tensor, noise: Noise) -> Tensor:
        """Codes (n, d) of the same images, differentiable in both image and frame."""
        return basis.join(*self.parts(latents, labels, noise))
