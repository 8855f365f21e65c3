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
    """The sum of `clipped` (k, B, d) plus noise: sum_k v_k + N(0, (sigma C)^2 I), (B, d).

    An empty round, k = 0, is noise alone. The result is for `rounded`; it is float64, as in single
    precision a replaced record could move a rounded sum by more than 2 C. C is `max_grad_norm`,
    sigma is `noise_multiplier` (0 only in non-private runs), and `source` is the secret stream.

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

    The last bits of a noisy sum can betray the sum (Mironov 2012). Each point of this grid, whose
    step is a power of two near 2^-26 of `noise_std`, stands for many values of the noise. Nothing
    is lost: where most noise lies the step is finer than single precision. `noisy` is float64, of
    any shape; `noise_std` 0 (not private) leaves it as it is. Post-processing; ours.

    >>> rounded(torch.tensor([0.3, 1e-9], dtype=torch.float64), 2.0**26)
    tensor([0., 0.])
    """
    if not noise_std:
        return noisy.float()
    step = 2.0 ** (math.floor(math.log2(noise_std)) - _GRID_BITS)
    return ((noisy / step).round() * step).float()
