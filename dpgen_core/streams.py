"""Keyed random streams: every draw belongs to a name, so a resumed run repeats itself exactly.

A stream is addressed by a seed and a path such as ``("noise", 17, 0)`` for round 17, attempt 0.
No generator state is ever carried from round to round; a checkpoint therefore holds none.

Two seeds exist. The *public* seed fixes what anybody may know: initial weights, latents, labels and
the shard permutation. The *secret* fixes what the guarantee needs hidden: the Poisson coins and the
Gaussian noise. Whoever knows the secret can subtract the noise, so a run whose secret is derived
from its public seed is reproducible but is no private release (see `secret_key`).

The generators are PyTorch's and not cryptographic.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

import torch

from dpgen_core.checks import check_choice

NoiseSource = Literal["seeded", "secret"]
NOISE_SOURCES: tuple[NoiseSource, ...] = ("seeded", "secret")


def stream(key: int | str, *path: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one named draw.

    Args:
        key: the public seed or the secret key.
        path: what is drawn, for example ``("latents", round)``.
        device: where the generator lives.

    Returns:
        A `torch.Generator` that depends on `key`, `path` and the device type alone.

    Example:
        >>> a, b = (torch.rand(2, generator=stream(1, "latents", 5)) for _ in range(2))
        >>> bool(torch.equal(a, b))
        True
    """
    text = "/".join(str(part) for part in (key, *path))
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def secret_key(noise_source: str, seed: int) -> str:
    """The key of the hidden streams (coins and noise).

    Args:
        noise_source: ``"seeded"`` derives the key from `seed`: bit-identical reruns, for research on
            public data only. ``"secret"`` draws 128 bits from the operating system; the key lives in
            the private work folder until the run ends and is then deleted.
        seed: the public seed.

    Raises:
        InvalidArgument: unknown `noise_source`.
    """
    check_choice("noise_source", noise_source, NOISE_SOURCES)
    return f"seeded-{seed}" if noise_source == "seeded" else secrets.token_hex(16)
