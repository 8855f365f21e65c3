"""What one round leaves behind: the release, and figures inside and outside the guarantee."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from torch import Tensor

_GRID_BITS = (
    26  # the grid's step is so many powers of two below one standard deviation of the noise
)


def rounded(noisy: Tensor, noise_std: float) -> Tensor:
    """A noisy sum on a public grid, in single precision: what leaves the mechanism.

    Near 0 single-precision numbers are finer than noise and sum together are in double precision.
    Rounded to them directly, a release near 0 is a number that some sums can reach and others cannot,
    and its last bits tell which. The grid's step is a power of two, about 2^-26 of the noise's standard
    deviation: each of its points stands for many values of the noise, whatever the sum is (Mironov 2012),
    and it is finer than single precision where most of the noise lies, so that nothing is lost.
    Post-processing; ours.

    Args:
        noisy: sum plus noise, float64, any shape.
        noise_std: standard deviation of the noise; 0 (no noise, not private) leaves the values as they are.

    Example:
        >>> import torch
        >>> rounded(torch.tensor([0.3, 1e-9], dtype=torch.float64), 2.0**26)
        tensor([0., 0.])
    """
    if not noise_std:
        return noisy.float()
    step = 2.0 ** (math.floor(math.log2(noise_std)) - _GRID_BITS)
    return ((noisy / step).round() * step).float()


@dataclass(frozen=True)
class RoundReport:
    """What one round leaves behind.

    Attributes:
        release: u~ (B, d), the sanitized release.
        public: figures computed from releases and constants; covered by the guarantee.
        private: figures computed from owners' state or coins; outside the guarantee.
    """

    release: Tensor
    public: dict[str, float]
    private: dict[str, float]

    def digest(self) -> str:
        """SHA-256 of the release's bytes, by which a resumed run recognizes a replay."""
        return hashlib.sha256(self.release.cpu().contiguous().numpy().tobytes()).hexdigest()
