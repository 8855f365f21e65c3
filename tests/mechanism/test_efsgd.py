"""The optimizer with one memory on the server: wrong scales and prices must be rejected."""

from __future__ import annotations

import pytest
import torch
from noise_scale import noise_p_value
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn

from dpgen_core.checks import InvalidArgument
from dpgen_core.mechanism.efsgd import EFSGD
from dpgen_core.streams import stream


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


def per_sample_model(seed: int) -> GradSampleModule:
    model = nn.Linear(3, 2)
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        nn.init.uniform_(p, -0.5, 0.5, generator=generator)
    return GradSampleModule(model)


def test_efsgd_without_memory_is_opacus_dp_sgd() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(8, 3, generator=generator), torch.randn(8, 2, generator=generator)
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


@pytest.mark.parametrize("max_grad_norm", [1e-6, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("dim", [1, 7, 600])
@pytest.mark.parametrize("entry", [1e19, 1e37, 3e38])
def test_the_bounds_hold_for_every_finite_gradient(
    max_grad_norm: float, dim: int, entry: float
) -> None:
    """Weights of such gradients leave the range of float32."""
    optimizer = EFSGD(
        [nn.Parameter(torch.zeros(dim))],
        lr=1.0,
        max_grad_norm=max_grad_norm,
        max_error_norm=9e3,
        max_residual_norm=2 * max_grad_norm,
        noise_multiplier=0.0,
        expected_batch_size=1,
    )
    large = torch.full((1, dim), entry)
    assert optimizer.release(large).dtype == large.dtype
    optimizer.state.clear()
    released = float(optimizer.release(large).double().norm())
    residual = float(optimizer.release(torch.zeros(1, dim)).double().norm())
    assert 0.9999 * max_grad_norm < released <= max_grad_norm
    assert 0.9999 * 2 * max_grad_norm < residual <= 2 * max_grad_norm
