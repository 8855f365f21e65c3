"""The moving average: early weights are forgotten, and the decay has its bound."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.training.schedule import falling_rate, follow


@pytest.mark.parametrize("steps, kept", [(0, 0.0), (10, 0.5), (30, 0.75), (10**6, 0.9)])
def test_the_average_keeps_more_as_training_goes_on(steps: int, kept: float) -> None:
    average, weight = torch.full((3,), 1.0), torch.full((3,), 2.0)
    follow([average], [weight], decay=0.9, steps=steps)
    torch.testing.assert_close(average, torch.full((3,), kept + 2 * (1 - kept)))
    assert torch.equal(weight, torch.full((3,), 2.0))


def test_the_rate_never_grows_and_never_ends() -> None:
    rates = [falling_rate(0.5, done / 100) for done in range(101)]
    assert rates[0] == rates[50] == 0.5 and rates[-1] == pytest.approx(0.025)
    assert rates == sorted(rates, reverse=True)
