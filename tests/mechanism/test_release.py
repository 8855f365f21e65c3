"""The last rounding: on a grid that is the same whatever the sum was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dpgen_core.mechanism.release import rounded
from dpgen_core.prior import gaussian as prior
from dpgen_core.prior import mixture
from dpgen_core.streams import HiddenStream
from dpgen_core.training import critic_trainer as dp_critic
from dpgen_core.training import owner_trainer as training
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
    # What it guards against: by single precision alone, most outcomes of one sum are closed to another.
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


@pytest.mark.parametrize("module", [training, dp_critic, prior, mixture])
def test_every_release_goes_through_it(module: object) -> None:
    """`test_training` and `test_prior` see it at work; this names a module that imports it no more."""
    assert vars(module)["rounded"] is rounded


def test_a_digest_is_of_every_bit_of_the_release_and_of_nothing_else() -> None:
    release = HiddenStream("k", "release").normal((3, 4)).float()
    digest = RoundReport(release, {"norm": 1.0}, {}).digest()
    assert digest == hashlib.sha256(release.numpy().tobytes()).hexdigest()
    assert digest == RoundReport(release.T.contiguous().T, {}, {"cosine": 1.0}).digest()
    other = release.clone()
    other[2, 3] = torch.nextafter(other[2, 3], torch.tensor(9.0))
    assert digest != RoundReport(other, {"norm": 1.0}, {}).digest()
