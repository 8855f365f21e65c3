"""The losses that an owner computes on its own records, all on codes of the public basis (n, d).

The basis is orthonormal: a gradient in codes is the image-space gradient projected on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad
from torch.nn import functional as F

Score = Callable[[Tensor, Tensor], Tensor]  # critic: codes (n, d), labels (n,) -> scores (n,)


def wasserstein_loss(score: Score, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
    """Critic loss without penalty: mean D(fake) - mean D(real). Source: GS-WGAN / WGAN."""
    return score(fake, labels).mean() - score(real, labels).mean()


def gradient_penalty(
    score: Score, real: Tensor, fake: Tensor, labels: Tensor, mix: Tensor
) -> Tensor:
    """Mean squared deviation of the critic's gradient norm from 1 between real and fake.

    `mix` (n, 1) are uniform weights; `real` and `fake` (n, d) share their `labels` (n,).
    Source: Gulrajani et al. (2017), equation 3, without the factor lambda.
    """
    between = mix * real + (1 - mix) * fake  # (n, d)
    slope = grad(lambda codes: score(codes, labels).sum())(between)  # (n, d)
    return ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()


def adversarial_loss(score: Score, codes: Tensor, labels: Tensor) -> Tensor:
    """Generator loss, summed over images: -sum_b D(x_b, y_b). Source: WGAN."""
    return -score(codes, labels).sum()


class ClassStatistics(NamedTuple):
    """Of codes (n, d), by class; all zero for a class without records."""

    means: Tensor  #: (classes, d)
    spread: Tensor  #: root mean squared distance to the mean, (classes,)
    deviations: Tensor  #: the same by mode, (classes, d)


def class_statistics(codes: Tensor, labels: Tensor, num_classes: int) -> ClassStatistics:
    """Mean and deviations of codes (n, d) per class; those of a class of one record are zero."""
    every = torch.arange(num_classes, device=labels.device)
    one_hot = (labels[:, None] == every).to(codes)  # (n, classes); F.one_hot fails under vmap
    counts = one_hot.sum(0).clamp(min=1)
    means = one_hot.T @ codes / counts[:, None]
    square = (codes - means[labels]).square()  # (n, d)
    spread = (one_hot.T @ square.sum(1) / counts).sqrt()
    return ClassStatistics(means, spread, (one_hot.T @ square / counts[:, None]).sqrt())


def reconstruction_loss(codes: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Sum of w_b |x_b - r_b|^2 / 2 over images; of `reconstruction.targets_of`, all (B, d).

    Source: the paper's VAE-style L2 term; weights are ours.
    """
    return (weights * (codes - targets).square()).sum() / 2


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy summed over images; the dual-purpose classifier of Chen et al. (CVPR 2023)."""
    return F.cross_entropy(logits, labels, reduction="sum")


def annealed(weight: float, round_index: int, rounds: int, until: float) -> float:
    """`weight` at round 0, falling linearly to zero at round ``until * rounds``.

    >>> [annealed(2.0, t, 100, 0.5) for t in (0, 25, 50, 99)]
    [2.0, 1.0, 0.0, 0.0]
    """
    if until <= 0:
        return 0.0
    return weight * max(0.0, 1.0 - round_index / (until * rounds))
