"""The release: the sum and its noise, and a rounding that is the same whatever the sum was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch
from noise_scale import noise_p_value
from scipy import stats
from torch import Tensor

from dpgen_core.checks import InvalidArgument
from dpgen_core.mechanism.clipping import _SHRINK as SHRINK, clip_contributions
from dpgen_core.mechanism.release import rounded, sanitize
from dpgen_core.prior import gaussian as prior, mixture
from dpgen_core.streams import HiddenStream
from dpgen_core.training import critic_trainer, owner_trainer
from dpgen_core.training.report import RoundReport

STD = 164.0
STEP = 2.0 ** (7 - 26)  # 2^7 <= STD < 2^8


def near_zero(total: float, reach: float, finish: Callable[[Tensor], Tensor]) -> set[float]:
    """What can be released within `reach` of 0, by noise that is dense around minus the sum."""
    noise = -total + torch.linspace(-reach, reach, 200_001, dtype=torch.float64)
    return set(finish(total + noise).tolist())


def test_every_sum_reaches_the_same_numbers() -> None:
    grid = {place * STEP for place in range(-20, 21)}
    for total in (1000.3, 17.0, -2.7):
        assert near_zero(total, 20.4 * STEP, lambda noisy: rounded(noisy, STD)) == grid
    # What it guards against: in single precision alone, most outcomes of one sum are closed to
    # another.
    large, small = (
        near_zero(total, 1e-10, lambda noisy: noisy.float()) for total in (1000.3, 17.3)
    )
    assert len(large) > 1000
    assert len(small - large) > 0.9 * len(small)


def test_rounding_is_far_below_the_noise_and_leaves_no_noise_alone() -> None:
    noisy = 1e4 * HiddenStream("k", "values").normal((1000,))
    out = rounded(noisy, STD)
    assert out.dtype == torch.float32
    assert (out.double() - noisy).abs().max() < STD * 2**-14  # large values: single precision
    assert torch.equal(rounded(noisy, 0.0), noisy.float())


@pytest.mark.parametrize("module", [owner_trainer, critic_trainer, prior, mixture])
def test_every_release_goes_through_it(module: object) -> None:
    """Tests of training and prior see it at work; this names a module that imports it no more."""
    assert vars(module)["rounded"] is rounded


def test_a_digest_is_of_every_bit_of_the_release_and_of_nothing_else() -> None:
    release = HiddenStream("k", "release").normal((3, 4)).float()
    digest = RoundReport(release, {"norm": 1.0}, {}).digest()
    assert digest == hashlib.sha256(release.numpy().tobytes()).hexdigest()
    assert digest == RoundReport(release.T.contiguous().T, {}, {"cosine": 1.0}).digest()
    other = release.clone()
    other[2, 3] = torch.nextafter(other[2, 3], torch.tensor(9.0))
    assert digest != RoundReport(other, {"norm": 1.0}, {}).digest()


def test_sanitize_refuses_what_was_not_clipped() -> None:
    good, _ = clip_contributions(torch.ones(3, 2, 2), 1.0)
    sanitize(good, 1.0, 1.0, HiddenStream(0))
    with pytest.raises(InvalidArgument, match="joint norm <= max_grad_norm = 0.9"):
        sanitize(good, 0.9, 1.0, HiddenStream(0))


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
