"""Owner-side error feedback: what the clip cut off is kept, by owner and label, and added."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.mechanism.clipping import _SHRINK as SHRINK, clip_contributions
from dpgen_core.mechanism.error_memory import ErrorMemory


def test_error_feedback_step_by_hand() -> None:
    memory = ErrorMemory(num_shards=2, num_classes=2, dim=2, decay=1.0)
    labels = torch.tensor([1])
    joined = torch.tensor([0])
    first, norms = memory.feed_back(joined, torch.tensor([[[3.0, 4.0]]]), labels, 1.0)
    # |u| = 5 is clipped to 1: v = (0.6, 0.8), and e = (3, 4) - v = (2.4, 3.2)
    torch.testing.assert_close(first[0, 0], SHRINK * torch.tensor([0.6, 0.8]), atol=1e-5, rtol=0)
    assert norms.item() == pytest.approx(5.0)
    left = torch.tensor([3.0, 4.0]) - SHRINK * torch.tensor([0.6, 0.8])
    torch.testing.assert_close(memory.residuals[0, 1], left, atol=1e-5, rtol=0)
    # next round u = (-2.4, -2.6): u + e = (0, 0.6) fits, so nothing is left
    second, _ = memory.feed_back(joined, torch.tensor([[[-2.4, -2.6]]]), labels, 1.0)
    torch.testing.assert_close(second[0, 0], left - torch.tensor([2.4, 2.6]), atol=1e-5, rtol=0)
    torch.testing.assert_close(memory.residuals[0, 1], torch.zeros(2), atol=1e-5, rtol=0)
    # the other label and the other shard were never touched
    assert not memory.residuals[0, 0].any()
    assert not memory.residuals[1].any()


def test_error_memory_decays_and_averages_over_a_label() -> None:
    memory = ErrorMemory(num_shards=1, num_classes=1, dim=1, decay=0.5)
    u = torch.tensor([[[4.0], [2.0]]])  # joint norm sqrt(20)
    v, _ = memory.feed_back(torch.tensor([0]), u, torch.tensor([0, 0]), 1.0)
    expected = 0.5 * (u - v)[0].mean()
    torch.testing.assert_close(memory.residuals[0, 0, 0], expected)


@pytest.mark.parametrize("mode", ["joint", "per-image"])
def test_no_contribution_exceeds_the_bound(mode: str) -> None:
    generator = torch.Generator().manual_seed(0)
    memory = ErrorMemory(num_shards=5, num_classes=3, dim=7, decay=1.0)
    labels = torch.tensor([0, 1, 2, 2])
    for scale in (1e-3, 1.0, 1e4, 1e12):
        u = torch.randn(5, 4, 7, generator=generator) * scale
        v, _ = memory.feed_back(torch.arange(5), u, labels, 2.0, mode)  # type: ignore[arg-type]
        assert float(v.flatten(1).norm(dim=1).double().max()) <= 2.0


def test_broken_contribution_does_not_poison_the_memory() -> None:
    memory = ErrorMemory(num_shards=1, num_classes=1, dim=2, decay=1.0)
    u = torch.tensor([[[torch.nan, 1.0]]])
    memory.feed_back(torch.tensor([0]), u, torch.tensor([0]), 1.0)
    assert memory.residuals.isfinite().all()


@pytest.mark.parametrize("mode", ["joint", "per-image"])
def test_without_decay_there_is_no_memory_and_only_the_clip(mode: str) -> None:
    memory = ErrorMemory(num_shards=3, num_classes=2, dim=4, decay=0.0)
    assert memory.residuals.numel() == 0
    u = 3 * torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(4))
    joined, labels = torch.tensor([0, 2]), torch.tensor([0, 1, 0, 1, 1])
    v, norms = memory.feed_back(joined, u, labels, 1.5, mode)  # type: ignore[arg-type]
    expected, expected_norms = clip_contributions(u, 1.5, mode)  # type: ignore[arg-type]
    assert torch.equal(v, expected) and torch.equal(norms, expected_norms)


def test_the_joint_clip_is_the_default_and_the_mode_reaches_the_clip() -> None:
    u = torch.tensor([[[4.0], [0.1]]])
    labels, joined = torch.tensor([0, 1]), torch.tensor([0])

    def fed(*mode: str, decay: float = 0.5) -> torch.Tensor:
        memory = ErrorMemory(1, 2, 1, decay)
        return memory.feed_back(joined, u, labels, 1.0, *mode)[0]  # type: ignore[arg-type]

    for decay in (0.0, 0.5):
        assert torch.equal(fed(decay=decay), fed("joint", decay=decay))
        assert not torch.allclose(fed("joint", decay=decay), fed("per-image", decay=decay))
    assert fed("per-image")[0, 1].item() == pytest.approx(0.1)  # alone it is within 1 / sqrt(2)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
def test_a_broken_entry_leaves_a_residual_of_zero_in_its_place(broken: float) -> None:
    memory = ErrorMemory(1, 1, 2, 1.0)
    memory.feed_back(torch.tensor([0]), torch.tensor([[[broken, 0.0]]]), torch.tensor([0]), 1.0)
    assert memory.residuals.tolist() == [[[0.0, 0.0]]]
