"""Learning rate and moving average of weights that follow noisy releases. Post-processing."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def falling_rate(learning_rate: float, done: float) -> float:
    """The rate when the share `done` of the rounds is done: it falls over their second half.

    >>> [round(falling_rate(1.0, done), 3) for done in (0.0, 0.5, 0.75, 1.0)]
    [1.0, 1.0, 0.55, 0.05]
    """
    return learning_rate * min(1.0, 2.0 * (1.0 - done) + 0.05)


@torch.no_grad()
def follow(
    averages: Iterable[Tensor], weights: Iterable[Tensor], *, decay: float, steps: float
) -> None:
    """Move each average toward its weight. `decay` is lower at first: early weights are forgotten."""
    share = 1 - min(decay, steps / (steps + 10))
    for mean, now in zip(averages, weights, strict=True):
        mean.lerp_(now, share)
