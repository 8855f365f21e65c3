"""The losses on cases small enough to know the answer."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.losses import (
    annealed,
    class_statistics,
    gradient_penalty,
    matched_target,
    reconstruction_loss,
    wasserstein_loss,
)

UNIT = torch.ones(2)


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
    means, spread = class_statistics(codes, torch.tensor([0, 0, 2]), 3)
    torch.testing.assert_close(means, torch.tensor([[1.0, 0.0], [0.0, 0.0], [5.0, 5.0]]))
    torch.testing.assert_close(spread, torch.tensor([1.0, 0.0, 0.0]))


def test_targets_come_from_the_own_class_and_spread_out() -> None:
    records = torch.tensor([[10.0, 0.0], [14.0, 0.0], [0.0, 0.0]])
    record_labels = torch.tensor([0, 0, 1])
    # a young generator: its images of class 0 hardly differ and are far from the records
    codes, labels = torch.tensor([[0.01, 0.0], [-0.01, 0.0], [3.0, 3.0]]), torch.tensor([0, 0, 1])
    public = class_statistics(codes, labels, 3)
    targets, mask = matched_target(codes, labels, public, records, record_labels, UNIT)
    torch.testing.assert_close(targets, records[[1, 0, 2]])
    assert mask.tolist() == [1.0, 1.0, 1.0]


def test_missing_class_gives_no_gradient() -> None:
    records, record_labels = torch.ones(2, 2), torch.tensor([0, 0])
    codes, labels = torch.zeros(1, 2), torch.tensor([1])
    public = class_statistics(codes, labels, 2)
    targets, mask = matched_target(codes, labels, public, records, record_labels, UNIT)
    assert mask.tolist() == [0.0]
    assert float(reconstruction_loss(codes, targets, mask)) == 0.0
    assert targets.isfinite().all()


def test_annealing() -> None:
    assert annealed(1.0, 99, 100, 2.0) > 0.5
    assert annealed(1.0, 10, 100, 0.0) == 0.0
    assert annealed(1.0, 10, 100, 0.2) == pytest.approx(0.5)
