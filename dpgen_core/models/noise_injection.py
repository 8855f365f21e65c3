"""Noise injection: Gaussian noise that a generator adds to its features, in several forms.

* ``pixel``: a draw for each pixel, the same in all channels, with one learned scale per channel, after
  every stage. The source is Karras et al. (2019, StyleGAN); the paper's own form is not public.
* ``channel``: a draw for each channel of an image, the same in all its pixels.
* ``coarse`` and ``fine``: ``pixel``, after the first stage or the last one alone.
* ``fixed``: ``pixel``, with scales that stay what they were at first.

>>> features, noise = torch.zeros(1, 2, 3, 3), torch.Generator().manual_seed(0)
>>> added = NoiseInjection(2, FORMS["channel"])(features, noise)
>>> [len(channel.unique()) for channel in added[0]]
[1, 1]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_SCALE = 0.1  # of the first noise, in features of about unit size


@dataclass(frozen=True)
class NoiseOfSome:
    """Noise for a batch of which this process makes some images; it does not depend on which."""

    generator: torch.Generator  #: draws for the whole batch
    rows: range  #: the consecutive images made here
    total: int  #: images in the batch


Noise = torch.Generator | NoiseOfSome


def draw(noise: Noise, count: int, *shape: int) -> Tensor:
    """Standard normal, (count, ...) with the dimensions of `shape` behind."""
    if isinstance(noise, torch.Generator):
        return torch.randn(count, *shape, generator=noise, device=noise.device)
    return draw(noise.generator, noise.total, *shape)[noise.rows.start : noise.rows.stop]


@dataclass(frozen=True)
class NoiseForm:
    """Where noise is added, and how."""

    per_pixel: bool = True  #: a draw for each pixel; if not, for each channel
    learned: bool = True  #: whether the scales are trained
    only: int | None = None  #: the stage after which noise is added, 0 the coarsest; None: all

    def at(self, stage: int, stages: int) -> NoiseForm | None:
        """The form after one of so many stages; None where it adds no noise."""
        return self if self.only is None or stage == range(stages)[self.only] else None


FORMS: Mapping[str, NoiseForm] = {
    "pixel": NoiseForm(),
    "channel": NoiseForm(per_pixel=False),
    "coarse": NoiseForm(only=0),
    "fine": NoiseForm(only=-1),
    "fixed": NoiseForm(learned=False),
}


class NoiseInjection(nn.Module):
    """Add noise in a form of `FORMS`, or nothing (ablation)."""

    def __init__(self, channels: int, form: NoiseForm | None) -> None:
        super().__init__()
        self.form = form
        self.scale = nn.Parameter(torch.full((channels, 1, 1), _SCALE if form else 0.0))
        self.scale.requires_grad_(form is not None and form.learned)

    def forward(self, features: Tensor, noise: Noise) -> Tensor:
        """(n, channels, h, w) -> same shape."""
        if self.form is None:
            return features
        n, channels, h, w = features.shape
        shape = (1, h, w) if self.form.per_pixel else (channels, 1, 1)
        return features + self.scale * draw(noise, n, *shape).to(features)
