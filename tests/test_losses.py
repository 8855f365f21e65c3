"""The losses on cases small enough to know the answer."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.losses import (
    annealed,
    class_statistics,
    gradient_penalty,
    reconstruction_loss,
    wasserstein_loss,
)


def linear_score(slope: torch.Tensor):
    return lambda codes, labels: codes @ slope


def test_penalty_of_a_linear_critic() -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 4, 2, generator=generator)
    labels, mix = torch.zeros(4, dtype=torch.long), torch.rand(4, 1, generator=generator)
    slope = torch.tensor([3.0, 4.0])  # norm 5, so the penalty is (5 - 1)^2
    value = gradient_penalty(linear_score(slope), real, fake, labels, mix)
    assert float(value) == pytest.approx(16.0, rel=1e-4)
    gap = wasserstein_loss(linear_score(slope), real, fake, labels)
    torch.testing.assert_close(gap, ((fake - real) @ slope).mean())


def test_class_statistics() -> None:
    codes = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]])
    means, spread, by_mode = class_statistics(codes, torch.tensor([0, 0, 2]), 3)
    torch.testing.assert_close(means, torch.tensor([[1.0, 0.0], [0.0, 0.0], [5.0, 5.0]]))
    torch.testing.assert_close(spread, torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(by_mode, torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))


def test_reconstruction_pulls_along_the_difference_and_by_weight() -> None:
    codes = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    targets, weights = torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    loss = reconstruction_loss(codes, targets, weights)
    assert loss.item() == pytest.approx(0.5 + 0.25 * (9 + 16))
    (slope,) = torch.autograd.grad(loss, codes)
    torch.testing.assert_close(slope, torch.tensor([[1.0, 0.0], [1.5, 2.0]]))


def test_annealing() -> None:
    assert annealed(1.0, 99, 100, 2.0) > 0.5
    assert annealed(1.0, 10, 100, 0.0) == 0.0
    assert annealed(1.0, 10, 100, 0.2) == pytest.approx(0.5)
