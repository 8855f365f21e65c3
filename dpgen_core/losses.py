"""The losses that an owner computes on its own records, all on codes of the public basis (n, d).

The basis is orthonormal: a gradient in codes is the image-space gradient projected on it.
"""

from __future__ import annotations

from collections.abc import Callable

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


def class_statistics(codes: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Mean (classes, d) and root mean squared deviation (classes,) of codes per class.

    A class without records gets zero mean and spread; a class of one record zero spread.
    """
    every = torch.arange(num_classes, device=labels.device)
    one_hot = (labels[:, None] == every).to(codes)  # (n, classes); F.one_hot fails under vmap
    counts = one_hot.sum(0).clamp(min=1)
    means = one_hot.T @ codes / counts[:, None]
    square = (codes - means[labels]).square().sum(1)  # (n,)
    return means, (one_hot.T @ square / counts).sqrt()


def matched_target(
    codes: Tensor,
    labels: Tensor,
    public: tuple[Tensor, Tensor],
    records: Tensor,
    record_labels: Tensor,
    scale: Tensor,
) -> tuple[Tensor, Tensor]:
    """The owner's reconstruction r_k(x_b) of each image: one of its own records of the same class.

    Images and records are compared in deviations from their side's class mean, in units of its
    class spread. By raw codes, all images of an untrained generator match the same record, and
    diversity never grows. The latent is public and the *target* is private: a private latent would
    leak through the generator's Jacobian. Source: ours.

    `codes` (B, d) are generated, with public `labels` (B,), `public` are `class_statistics` of
    such; `records` (n, d) and `record_labels` (n,) are the owner's. Modes whose `scale` (d,) is
    small weigh more. Returns targets (B, d), and a mask (B,): 0 without a record of the class.
    """
    means, spread = class_statistics(records, record_labels, len(public[0]))
    ours = (records - means[record_labels]) / (spread[record_labels, None] + 1e-6)  # (n, d)
    theirs = (codes - public[0][labels]) / (public[1][labels, None] + 1e-6)  # (B, d)
    distance = torch.cdist(theirs / scale, ours / scale)  # (B, n)
    same = labels[:, None] == record_labels[None, :]
    nearest = torch.where(same, distance, torch.inf).argmin(1)  # (B,)
    return records[nearest], same.any(1).to(codes)


def reconstruction_loss(codes: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Sum of |x_b - r_b|^2 / 2 over images with a target. Source: the paper's VAE-style L2 term."""
    return (mask * (codes - targets).square().sum(1)).sum() / 2


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
