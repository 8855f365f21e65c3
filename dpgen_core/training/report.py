"""What a trainer is asked, and what one round leaves behind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dpgen_core.prior.gaussian import FrequencyPrior


@dataclass(frozen=True)
class RoundReport:
    """What one round leaves behind.

    Attributes:
        release: u~, the sanitized release.
        public: figures computed from releases and constants; covered by the guarantee.
        private: figures computed from owners' state or coins; outside the guarantee.
    """

    release: Tensor
    public: dict[str, float]
    private: dict[str, float]

    def digest(self) -> str:
        """SHA-256 of the release's bytes, by which a resumed run recognizes a replay."""
        return hashlib.sha256(self.release.cpu().contiguous().numpy().tobytes()).hexdigest()


class Trainer(Protocol):
    """What `session.Session` asks of a learner's trainer; `config.budget.LEARNERS` has its price.

    Built from (config, data, key, device=, prior=, ranks=). The session charges a release between
    `compute` and `apply`.
    """

    @property
    def prior(self) -> FrequencyPrior | None:
        """The released prior, when the method has one."""

    def warm_up(self) -> None:
        """What happens before the first round and releases nothing."""

    def compute(self, round_index: int, attempt: int = 0) -> RoundReport:
        """Everything up to and including the release.

        Args:
            round_index: t, 0-based.
            attempt: 0, or more when a resumed run could not repeat a release bit for bit; coins and
                noise are then drawn afresh.
        """

    def apply(self, report: RoundReport) -> None:
        """Post-processing: what the release changes."""

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes from round to round, for a checkpoint. Private."""

    def load_tensors(self, state: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave."""

    def sample(self, labels: Tensor, *, stream_name: str = "samples") -> Tensor:
        """Synthetic images in [0, 1] for the given labels, (n, c, h, w)."""


def round_report(
    release: Tensor,
    *,
    number: int,
    noise_std: float,
    wanted: Tensor,
    kept: Tensor,
    norms: Tensor,
    joined: int,
    clip_bound: float,
    critic_gaps: Tensor | None = None,
    public: dict[str, float] | None = None,
) -> RoundReport:
    """The report of a round, with the figures that every learner has.

    Args:
        release: the sanitized release.
        number: of the round, 1-based.
        noise_std: standard deviation of the release's noise.
        wanted: sum of the contributions before clipping, flat.
        kept: sum of the clipped contributions, flat.
        norms: contributions' norms before clipping.
        joined: how many contributed.
        clip_bound: what each of `norms` was clipped to.
        critic_gaps: last losses of the joining critics.
        public: further figures inside the guarantee.
    """
    gaps = norms.new_zeros(0) if critic_gaps is None else critic_gaps
    return RoundReport(
        release=release,
        public={
            "round": number,
            "release_norm": float(release.norm()),
            "noise_norm_expected": noise_std * release.numel() ** 0.5,
        }
        | (public or {}),
        private={
            "round": number,
            "joined": joined,
            "critic_gap": _mean(gaps),
            "norm_mean": _mean(norms),
            "norm_spread": float(norms.std() / norms.mean()) if norms.numel() > 1 else 0.0,
            "clipped_share": _mean((norms > clip_bound).to(norms)),
            "clip_cosine": float(torch.cosine_similarity(wanted, kept, dim=0)),
            "signal_norm": float(kept.norm()),
        },
    )


def _mean(values: Tensor) -> float:
    return float(values.mean()) if values.numel() else 0.0
