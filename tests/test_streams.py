"""Keyed streams: repeatable, independent by name, and secret when they must be."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.checks import InvalidArgument, check_int, check_real
from dpgen_core.streams import secret_key, stream


def draw(*path: int | str) -> torch.Tensor:
    return torch.randn(4096, generator=stream(*path))


def test_same_name_same_draw_other_name_other_draw() -> None:
    assert torch.equal(draw("k", "noise", 3, 0), draw("k", "noise", 3, 0))
    for other in (("k", "noise", 3, 1), ("k", "noise", 4, 0), ("l", "noise", 3, 0)):
        overlap = float(torch.corrcoef(torch.stack([draw("k", "noise", 3, 0), draw(*other)]))[0, 1])
        assert abs(overlap) < 0.08


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    draw("k", "noise", 1)
    assert torch.equal(before, torch.get_rng_state())


def test_secret_keys() -> None:
    assert secret_key("seeded", 1) == secret_key("seeded", 1) != secret_key("seeded", 2)
    keys = {secret_key("secret", 1) for _ in range(50)}
    assert len(keys) == 50
    assert min(map(len, keys)) == 32
    with pytest.raises(InvalidArgument, match=r"noise_source: received 'none'.*seeded, secret"):
        secret_key("none", 1)


@pytest.mark.parametrize("value", [True, "3", None, float("nan"), float("inf"), -1.0, 0.0])
def test_real_check_refuses(value: object) -> None:
    with pytest.raises(InvalidArgument, match="epsilon: received .* Try epsilon=10"):
        check_real("epsilon", value, low=0, low_open=True, fix="epsilon=10")


@pytest.mark.parametrize("value", [True, "3", 2.5, None, 0, 11])
def test_int_check_refuses(value: object) -> None:
    with pytest.raises(InvalidArgument, match="rounds: received"):
        check_int("rounds", value, low=1, high=10, fix="rounds=5")
