"""Bytes stand for the floats that they are read as, wherever images are used."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dpgen_core.checks import InvalidArgument
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.codes.frames import FramedBasis
from dpgen_core.pixels import at_once, check_pixels, to_bytes, to_floats


def drawn(count: int, side: int, channels: int = 1) -> Tensor:
    """Random bytes, (count, channels, side, side)."""
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, channels, side, side), generator=generator).byte()


def test_every_byte_comes_back() -> None:
    every = torch.arange(256).byte()
    floats = to_floats(every)
    assert floats.dtype == torch.float32 and torch.equal(floats, torch.arange(256) / 255)
    assert torch.equal(to_bytes(floats), every)
    assert to_floats(floats) is floats and to_bytes(every) is every


def test_floats_are_left_as_they_were() -> None:
    images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    to_bytes(images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("value", [1.01, -0.01, math.nan])
def test_only_floats_can_lie_outside(value: float) -> None:
    check_pixels("images", torch.full((1, 1, 2, 2), 255, dtype=torch.uint8))
    with pytest.raises(InvalidArgument, match="images: received"):
        check_pixels("images", torch.tensor([[[[0.5, value]]]]))


@pytest.mark.parametrize("side", [16, 32, 36, 128])
def test_what_is_worked_on_at_once_has_bounded_size(side: int) -> None:
    shape = (3, side, side)
    assert at_once(shape, 1000) == (1000 if side <= 32 else 1000 * 32**2 // side**2)
    assert at_once(shape, 1) == 1


@pytest.mark.parametrize("kind", [FrequencyBasis, FramedBasis])
def test_codes_of_bytes_are_those_of_floats(
    kind: type[FrequencyBasis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpgen_core.codes.basis.MOST_VALUES", 6 * 64)
    monkeypatch.setattr("dpgen_core.codes.basis.BLOCK", 4)
    basis = kind((1, 8, 8), 4)
    for count in (5, 11):  # in one piece and in blocks
        images = drawn(count, 8)
        assert torch.equal(basis.encode(images), basis.encode(to_floats(images)))
