"""The release: sum the clipped contributions, add Gaussian noise, round to a public grid.

>>> clipped = torch.tensor([[[0.6, 0.0]], [[0.0, -0.8]]])  # two owners, one image, two entries
>>> noisy = sanitize(clipped, 1.0, 2.0, HiddenStream("key", "noise", 0, 0))
>>> rounded(noisy, noise_std=2.0)
tensor([[-0.9195, -2.6091]])
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dpgen_core.checks import require
from dpgen_core.streams import HiddenStream

_GRID_BITS = 26  # the grid's step is so many powers of two below the noise's standard deviation


def sanitize(
    clipped: Tensor, max_grad_norm: float, noise_multiplier: float, source: HiddenStream
) -> Tensor:
    """Sum the contributions and add the round's Gaussian noise.

    Args:
        clipped: (k, B, d); k may be 0 (an empty round releases noise alone).
        max_grad_norm: C, the norm that each owner's contribution obeys.
        noise_multiplier: sigma, noise std in units of C; 0 only in non-private runs.
        source: the secret noise stream of this release.

    Returns:
        sum_k v_k + N(0, (sigma C)^2 I), (B, d), to be rounded by `rounded`. It is float64: in
        single precision the rounding of a sum depends on its first terms, and a replaced record
        could move it by more than 2 C.

    Raises:
        InvalidArgument: an owner's norm exceeds C. This is the last gate before the release.
    """
    norms = torch.linalg.vector_norm(clipped.flatten(1), dim=1, dtype=torch.float64)  # (k,)
    largest = float(norms.max()) if len(norms) else 0.0
    rule = f"of joint norm <= max_grad_norm = {max_grad_norm:g} per shard"
    require(largest <= max_grad_norm, "clipped", largest, rule, "clip_contributions(...) first")
    total = clipped.sum(0, dtype=torch.float64)
    noise = source.normal(clipped.shape[1:]).to(total)
    return total + noise_multiplier * max_grad_norm * noise


def rounded(noisy: Tensor, noise_std: float) -> Tensor:
    """A noisy sum on a public grid, in single precision: what leaves the mechanism.

    Near 0 single-precision numbers are finer than noise and sum together are in double precision.
    Rounded to them directly, a release near 0 is a number that some sums can reach and others
    cannot, and its last bits tell which. The grid's step is a power of two, about 2^-26 of the
    noise's standard deviation: each of its points stands for many values of the noise, whatever the
    sum is (Mironov 2012), and it is finer than single precision where most of the noise lies, so
    that nothing is lost. Post-processing; ours.

    Args:
        noisy: sum plus noise, float64, any shape.
        noise_std: its standard deviation; 0 (not private) leaves the values as they are.

    Example:
        >>> rounded(torch.tensor([0.3, 1e-9], dtype=torch.float64), 2.0**26)
        tensor([0., 0.])
    """
    if not noise_std:
        return noisy.float()
    step = 2.0 ** (math.floor(math.log2(noise_std)) - _GRID_BITS)
    return ((noisy / step).round() * step).float()
