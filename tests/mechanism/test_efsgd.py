"""Clipping, error memory, sanitization and the optimizer: wrong scales must be rejected."""

from __future__ import annotations

import pytest
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from scipy import stats
from torch import Tensor, nn

from dpgen_core.checks import InvalidArgument
from dpgen_core.mechanism import efsgd
from dpgen_core.mechanism.clipping import clip_contributions, clip_rows
from dpgen_core.mechanism.efsgd import EFSGD
from dpgen_core.mechanism.error_memory import ErrorMemory
from dpgen_core.mechanism.release import sanitize
from dpgen_core.streams import HiddenStream, stream

SHRINK = efsgd._SHRINK  # clipping ends at this part of its bound


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


def test_each_image_gets_an_equal_part_of_the_bound() -> None:
    u = torch.full((1, 4, 9), 100.0)
    v, norms = clip_contributions(u, 3.0, "per-image")
    torch.testing.assert_close(v.norm(dim=2), torch.full((1, 4), SHRINK * 3.0 / 4**0.5))
    assert norms.dtype == u.dtype


@pytest.mark.parametrize("dim", [100_000, 1_000_000])
def test_the_bound_holds_for_long_contributions(dim: int) -> None:
    """In float32 a norm is off by more than any fixed margin once the sum is long enough."""
    u = torch.randn(3, 1, dim, generator=torch.Generator().manual_seed(1)).abs() * 100
    v, _ = clip_contributions(u, 1.0)
    norms = v.flatten(1).double().norm(dim=1)
    assert SHRINK - 1e-6 < norms.min().item() <= norms.max().item() <= 1.0


def test_clip_leaves_short_rows_alone_and_silences_broken_ones() -> None:
    rows = torch.tensor([[0.3, 0.4], [torch.nan, 1.0], [torch.inf, 0.0]])
    clipped, _ = clip_rows(rows, 1.0)
    torch.testing.assert_close(clipped, torch.tensor([[0.3, 0.4], [0.0, 0.0], [0.0, 0.0]]))


def test_broken_contribution_does_not_poison_the_memory() -> None:
    memory = ErrorMemory(num_shards=1, num_classes=1, dim=2, decay=1.0)
    u = torch.tensor([[[torch.nan, 1.0]]])
    memory.feed_back(torch.tensor([0]), u, torch.tensor([0]), 1.0)
    assert memory.residuals.isfinite().all()


def test_sanitize_refuses_what_was_not_clipped() -> None:
    good, _ = clip_contributions(torch.ones(3, 2, 2), 1.0)
    sanitize(good, 1.0, 1.0, HiddenStream(0))
    with pytest.raises(InvalidArgument, match="joint norm <= max_grad_norm = 0.9"):
        sanitize(good, 0.9, 1.0, HiddenStream(0))


@pytest.mark.parametrize("mode", ["joint", "per-image"])
def test_without_decay_there_is_no_memory_and_only_the_clip(mode: str) -> None:
    memory = ErrorMemory(num_shards=3, num_classes=2, dim=4, decay=0.0)
    assert memory.residuals.numel() == 0
    u = 3 * torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(4))
    labels = torch.tensor([0, 1, 0, 1, 1])
    v, norms = memory.feed_back(torch.tensor([0, 2]), u, labels, 1.5, mode)  # type: ignore[arg-type]
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


def test_the_release_is_the_sum_plus_scaled_noise_exactly() -> None:
    clipped = torch.tensor([[[0.3, -0.2]], [[0.1, 0.5]]])
    release = sanitize(clipped, 2.0, 1.5, HiddenStream("key", 1))
    noise = HiddenStream("key", 1).normal((1, 2))
    expected = torch.tensor([[0.4, 0.3]], dtype=torch.float64) + 3.0 * noise
    torch.testing.assert_close(release, expected, atol=1e-7, rtol=0)


def test_the_sum_is_taken_in_double_precision() -> None:
    """A large first contribution must not swallow the small ones after it."""
    contributions = torch.full((1001, 1, 1), 2.0**-25)
    contributions[0] = 1.0
    release = sanitize(contributions, 1.0, 0.0, HiddenStream(0))
    assert float(release) == 1.0 + 1000 * 2.0**-25


def test_the_last_gate_sums_norms_in_double_precision() -> None:
    """A million entries whose norm is just below C; single precision would refuse them."""
    row = torch.randn(1, 1, 1_000_000, generator=torch.Generator().manual_seed(1)).abs()
    clipped, _ = clip_contributions(100 * row, 1.0)
    sanitize(clipped, 1.0, 1.0, HiddenStream(0))
    above = clipped * (1 + 1e-6) / SHRINK  # past the bound by 1e-6
    with pytest.raises(InvalidArgument):
        sanitize(above, 1.0, 1.0, HiddenStream(0))


def priced(**changes: float) -> EFSGD:
    values = {"max_grad_norm": 0.5, "max_error_norm": 0.2, "max_residual_norm": 0.3}
    return EFSGD(
        [nn.Parameter(torch.zeros(1))],
        lr=1.0,
        noise_multiplier=4.0,
        expected_batch_size=10.0,
        generator=torch.Generator(),
        **values | changes,
    )


@pytest.mark.parametrize(
    "changes, steps, participations, shift",
    [
        ({}, 25, 4, 2 * 0.5 * 2 + 2 * 4 * 0.3),  # the residual's bound is the smaller one
        ({"max_error_norm": 0.01}, 25, 9, 2 * 0.5 * 3 + 5 * 2 * 0.01 * 10),  # the clip's is
        ({"max_error_norm": 0.0}, 25, 9, 2 * 0.5 * 3),  # no memory
        ({"max_residual_norm": 0.0}, 1, 1, 2 * 0.5),
    ],
)
def test_the_price_is_noise_over_the_whole_shift(
    changes: dict[str, float], steps: int, participations: int, shift: float
) -> None:
    event = priced(**changes).event(steps=steps, participations=participations)
    assert event.noise_multiplier == pytest.approx(4.0 * 0.5 / shift, rel=1e-12)
    assert (event.name, event.count) == ("efsgd", 1)
    named = priced().event(steps=1, participations=1, name="classifier")
    assert named.name == "classifier"


def noise_p_value(release: torch.Tensor, std: float) -> float:
    """Probability of a sample variance this far from std^2 when the noise is N(0, std^2)."""
    count = release.numel()
    statistic = float(release.double().square().sum()) / std**2
    return 2 * min(stats.chi2.cdf(statistic, count), stats.chi2.sf(statistic, count))


def test_noise_has_the_right_scale_and_wrong_scales_are_rejected() -> None:
    nothing = torch.zeros(0, 200, 100)  # an empty round releases noise alone
    release = sanitize(nothing, 0.5, 3.0, HiddenStream("key", "noise"))
    assert noise_p_value(release, 1.5) > 1e-3
    for wrong in (0.5, 0.95, 1.05, 2.0):
        assert noise_p_value(wrong * release, 1.5) < 1e-6
    assert stats.kstest(release.flatten()[:5000].numpy() / 1.5, "norm").pvalue > 1e-3


def test_noise_does_not_depend_on_who_joined() -> None:
    few, many = torch.zeros(1, 3, 4), torch.zeros(9, 3, 4)
    a = sanitize(few, 1.0, 2.0, HiddenStream("key", "noise", 1))
    b = sanitize(many, 1.0, 2.0, HiddenStream("key", "noise", 1))
    assert torch.equal(a, b)


def per_sample_model(seed: int) -> GradSampleModule:
    torch.manual_seed(seed)
    return GradSampleModule(nn.Linear(3, 2))


def test_efsgd_without_memory_is_opacus_dp_sgd() -> None:
    x, y = torch.randn(8, 3), torch.randn(8, 2)
    ours, theirs = per_sample_model(1), per_sample_model(1)
    optimizer = EFSGD(
        ours.parameters(),
        lr=0.1,
        max_grad_norm=0.5,
        max_error_norm=0.0,
        max_residual_norm=0.0,
        noise_multiplier=0.0,
        expected_batch_size=8,
    )
    reference = DPOptimizer(
        torch.optim.SGD(theirs.parameters(), lr=0.1),
        noise_multiplier=0.0,
        max_grad_norm=0.5,
        expected_batch_size=8,
    )
    for model, step in ((ours, optimizer.step), (theirs, reference.step)):
        ((model(x) - y) ** 2).sum(1).mean().backward()
        step()
    for p, r in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, r, atol=1e-5, rtol=1e-4)


def clipped_mean(memory: float, steps: int = 400) -> float:
    """Where 1-d SGD settles on sum (theta - x_i)^2 / 2 with x = (0, 0, 9) and gradients clipped
    to 1. The mean is 3; with clipping alone the balance of clipped gradients is elsewhere."""
    theta = nn.Parameter(torch.zeros(1))
    x = torch.tensor([[0.0], [0.0], [9.0]])
    optimizer = EFSGD(
        [theta],
        lr=0.05,
        max_grad_norm=1.0,
        max_error_norm=memory,
        max_residual_norm=100.0,
        noise_multiplier=0.0,
        expected_batch_size=3,
    )
    for _ in range(steps):
        theta.grad_sample = theta.detach() - x  # type: ignore[attr-defined]
        optimizer.step()
    return theta.item()


def test_error_feedback_removes_the_clipping_bias() -> None:
    # 2 clip(theta) = clip(9 - theta) = 1 settles at theta = 1/2, not at the mean 3
    assert clipped_mean(0.0) == pytest.approx(0.5, abs=0.02)
    assert clipped_mean(10.0, steps=4000) == pytest.approx(3.0, abs=0.05)


def test_efsgd_noise_scale_is_tested() -> None:
    theta = nn.Parameter(torch.zeros(20_000))
    optimizer = EFSGD(
        [theta],
        lr=1.0,
        max_grad_norm=2.0,
        max_error_norm=1.0,
        max_residual_norm=1.0,
        noise_multiplier=3.0,
        expected_batch_size=4,
        generator=stream("key", "noise"),
    )
    theta.grad_sample = torch.zeros(4, 20_000)  # type: ignore[attr-defined]
    optimizer.step()
    step = theta.detach()
    assert noise_p_value(step, 3.0 * 2.0 / 4) > 1e-3
    assert noise_p_value(1.05 * step, 3.0 * 2.0 / 4) < 1e-6


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
def test_a_broken_gradient_counts_for_nothing_and_leaves_nothing_in_the_memory(
    broken: float,
) -> None:
    sound = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(4)) * 3
    sound[1, 2] = 0.0
    poisoned = sound.clone()
    poisoned[1, 2] = 7.0
    poisoned[1, 2, 3] = broken
    for c2 in (0.0, 0.3):
        clean = run_without_noise(sound, 1.5, c2)
        assert clean.isfinite().all() and clean[1].any()
        assert torch.equal(run_without_noise(poisoned, 1.5, c2), clean)


def test_a_gradient_that_is_broken_in_one_parameter_counts_in_none() -> None:
    first, second = (nn.Parameter(torch.zeros(n)) for n in (2, 3))
    optimizer = quiet_optimizer(first, 1.0, 0.3)
    optimizer.add_param_group({"params": [second], "lr": 1.0})
    first.grad_sample = torch.ones(4, 2)  # type: ignore[attr-defined]
    second.grad_sample = torch.full((4, 3), torch.nan)  # type: ignore[attr-defined]
    optimizer.step()
    assert not first.any() and not second.any()


def test_norms_are_summed_in_double_precision_whatever_the_length() -> None:
    for dim in (1, 511, 512, 513, 5000):
        rows = torch.randn(7, dim, generator=torch.Generator().manual_seed(dim))
        norms = efsgd._norms(rows)
        assert norms.dtype == torch.float64
        torch.testing.assert_close(norms, rows.double().norm(dim=1), atol=0, rtol=1e-6)


def test_noise_is_added_to_what_would_be_released_without() -> None:
    gradients = torch.randn(4, 5, generator=torch.Generator().manual_seed(5))
    theta = nn.Parameter(torch.zeros(5))
    clean = quiet_optimizer(theta, 1.0, 0.3).release(gradients)
    noisy = quiet_optimizer(theta, 1.0, 0.3)
    noisy.noise_multiplier, noisy.generator = 2.0, torch.Generator().manual_seed(6)
    noise = torch.randn(5, generator=torch.Generator().manual_seed(6))
    torch.testing.assert_close(noisy.release(gradients), clean + 2.0 * 1.0 / 4 * noise)
    assert clean.norm() > 0.1


def test_memory_difference_stays_within_the_charged_bound() -> None:
    """Two neighboring runs: the shift of what is released never passes what `event` charges."""
    generator = torch.Generator().manual_seed(3)
    worst = 0.0
    for trial in range(30):
        steps, kappa, c2 = 40, 1.5, 0.3
        gradients = torch.randn(steps, 4, 5, generator=generator) * 3
        other = gradients.clone()
        taken = torch.randperm(steps, generator=generator)[: 1 + trial % 5]
        other[taken, 0] = -gradients[taken, 0] * 4  # sample 0 is replaced where it takes part
        shift = run_without_noise(gradients, kappa, c2) - run_without_noise(other, kappa, c2)
        optimizer = quiet_optimizer(nn.Parameter(torch.zeros(5)), kappa, c2)
        optimizer.noise_multiplier = 1.0
        event = optimizer.event(steps=steps, participations=len(taken))
        # noise std on the mean is C1 / E = 1/4; sensitivity = std / noise_multiplier
        allowed = 0.25 / event.noise_multiplier
        worst = max(worst, float(shift.norm()) / allowed)
    assert worst <= 1.0 + 1e-4
    assert worst > 0.3  # the bound is not idle: planted slack would show


def quiet_optimizer(theta: nn.Parameter, kappa: float, c2: float) -> EFSGD:
    return EFSGD(
        [theta],
        lr=1.0,
        max_grad_norm=1.0,
        max_error_norm=c2,
        max_residual_norm=kappa,
        noise_multiplier=0.0,
        expected_batch_size=4,
    )


def run_without_noise(gradients: torch.Tensor, kappa: float, c2: float) -> torch.Tensor:
    """All released means, (steps, 5)."""
    theta = nn.Parameter(torch.zeros(5))
    optimizer = quiet_optimizer(theta, kappa, c2)
    released = []
    for batch in gradients:
        before = theta.detach().clone()
        theta.grad_sample = batch.clone()  # type: ignore[attr-defined]
        optimizer.step()
        released.append(before - theta.detach())
    return torch.stack(released)


def test_efsgd_names_what_is_missing() -> None:
    theta = nn.Parameter(torch.zeros(1))
    with pytest.raises(InvalidArgument, match="generator: received None"):
        EFSGD(
            [theta],
            lr=1.0,
            max_grad_norm=1.0,
            max_error_norm=1.0,
            max_residual_norm=1.0,
            noise_multiplier=1.0,
            expected_batch_size=1,
        )
    with pytest.raises(InvalidArgument, match="GradSampleModule"):
        quiet_optimizer(theta, 1.0, 1.0).step()


def test_the_generator_handed_over_makes_the_noise() -> None:
    def released(seed: int) -> Tensor:
        theta = nn.Parameter(torch.zeros(3))
        optimizer = EFSGD(
            [theta],
            lr=1.0,
            max_grad_norm=1.0,
            max_error_norm=0.0,
            max_residual_norm=0.0,
            noise_multiplier=1.0,
            expected_batch_size=1,
            generator=torch.Generator().manual_seed(seed),
        )
        theta.grad_sample = torch.zeros(1, 3)  # type: ignore[attr-defined]
        optimizer.step()
        return theta.detach()

    assert torch.equal(released(1), released(1))
    assert not torch.equal(released(1), released(2))
    noise = torch.randn(3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(released(1), -noise)
