"""What one round leaves behind: the release, and figures inside and outside the guarantee."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from torch import Tensor


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
