"""Keyed random streams: every draw belongs to a name, so a resumed run repeats itself exactly.

A stream is addressed by a key and a path such as ``("noise", 17, 0)``, for round 17, attempt 0. It
carries no state from round to round, so a checkpoint holds none.

    >>> first, again, other = (HiddenStream("key", "noise", 17, i).normal((3,)) for i in (0, 0, 1))
    >>> torch.equal(first, again), torch.equal(first, other)
    (True, False)

What anybody may know (initial weights, latents, labels) comes from the public seed, by PyTorch's
generators. Coins and noise come from a *secret* key, by SHAKE-256 (FIPS 202): whoever knows the key
can subtract the noise, so a key that follows from the public seed makes no private release.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from dpgen_core.checks import check_choice

NoiseSource = Literal["seeded", "secret"]
NOISE_SOURCES: tuple[NoiseSource, ...] = ("seeded", "secret")
# ("stream" or "hidden", key, path) of an opened stream
Opened = tuple[Literal["stream", "hidden"], int | str, tuple[int | str, ...]]

_recorders: list[list[Opened]] = []


def stream(key: int | str, *path: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one named draw; it depends on key, path and device type alone."""
    digest = hashlib.sha256(_open("stream", key, path)).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class HiddenStream:
    """Coins and noise of one release, such as ``("noise", round, attempt)``, from a secret key.

    The same key and path give the same draw, whatever was drawn before: a stream has no state.

    >>> HiddenStream("key", "coins", 5).uniform(2)
    tensor([0.6963, 0.4843], dtype=torch.float64)
    """

    def __init__(self, key: int | str, *path: int | str) -> None:
        self._address = _open("hidden", key, path)

    def uniform(self, count: int) -> Tensor:
        """Uniform numbers in (0, 1), (count,), float64, 52 bits each (53 could round to 1)."""
        whole = self._words(count) >> np.uint64(12)
        return torch.from_numpy((whole + 0.5) * 2.0**-52)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers of the given shape, float64, by inversion of 106 random bits.

        These make a sign and a tail probability in (0, 1/2), which is dense near 0: the tails are as
        fine as the middle and end beyond 11 standard deviations.
        """
        count = int(np.prod(shape, dtype=np.int64))
        high, low = self._words(2 * count).reshape(2, count) >> np.uint64(11)  # 53 bits each
        below = high < 2**52
        near = np.where(below, high, np.uint64(2**53 - 1) - high)  # bits of the nearer tail
        tail = (near + (low + 0.5) * 2.0**-53) * 2.0**-53
        normal = np.where(below, 1.0, -1.0) * ndtri(tail)
        return torch.from_numpy(normal).reshape(tuple(shape))

    def _words(self, count: int) -> np.ndarray:
        """64 random bits each, (count,)."""
        return np.frombuffer(hashlib.shake_256(self._address).digest(8 * count), dtype="<u8")


@contextmanager
def recorded_streams() -> Iterator[list[Opened]]:
    """The streams that this process opens meanwhile, in order, from every thread; for tests.

    >>> with recorded_streams() as opened:
    ...     draw = HiddenStream("key", "coins", 5).uniform(2)
    >>> opened
    [('hidden', 'key', ('coins', 5))]
    """
    opened: list[Opened] = []
    _recorders.append(opened)
    try:
        yield opened
    finally:
        _recorders[:] = [other for other in _recorders if other is not opened]


def _open(kind: Literal["stream", "hidden"], key: int | str, path: tuple[int | str, ...]) -> bytes:
    """The address that a stream's draws are computed from."""
    for opened in _recorders:
        opened.append((kind, key, path))
    return "/".join(str(part) for part in (key, *path)).encode()


def secret_key(noise_source: str, seed: int) -> str:
    """The hidden streams' key: from the public `seed` for ``"seeded"``, else 256 random bits."""
    check_choice("noise_source", noise_source, NOISE_SOURCES)
    return f"seeded-{seed}" if noise_source == "seeded" else secrets.token_hex(32)
