"""What a session asks of a trainer, and what one round leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.training.sampler import Generator


@dataclass(frozen=True)
class RoundReport:
    """What one round leaves behind."""

    release: Tensor  # u~, the sanitized release
    public: dict[str, float]  # figures from releases and constants; covered by the guarantee
    private: dict[str, float]  # figures from owners' state or coins; outside the guarantee

    def digest(self) -> str:
        """SHA-256 of the release's bytes, by which a resumed run recognizes a replay."""
        return hashlib.sha256(self.release.cpu().contiguous().numpy().tobytes()).hexdigest()


class Trainer(Protocol):
    """What `session.Session` asks of a learner's trainer; `config.budget.LEARNERS` has its price.

    Built from (config, data, key, device=, prior=, ranks=), see `public_side.LearnerBase`. A
    trainer charges nothing: the session charges a release between `compute` and `apply`.
    """

    prior: FrequencyPrior | None  # the released prior, when the method has one

    def warm_up(self) -> None:
        """What happens before the first round and releases nothing."""

    def compute(self, round_index: int, attempt: int = 0) -> RoundReport:
        """Everything up to and including the release of round t = `round_index`, from 0.

        An `attempt` above 0 draws coins and noise afresh, where a resumed run could not repeat a
        release bit for bit.
        """

    def apply(self, report: RoundReport) -> None:
        """Post-processing: what the release changes."""

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes from round to round, for a checkpoint. Private."""

    def load_tensors(self, state: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave."""

    def forget(self) -> None:
        """Drop what was taken from the records: only `sample` may follow."""

    def sample(self, labels: Tensor, *, stream_name: str = "samples") -> Tensor:
        """Synthetic images in [0, 1] for the given labels, (n, c, h, w)."""

    def released(self, class_names: Sequence[str] = ()) -> Generator:
        """What may leave: all that `sample` needs."""


def round_report(
    release: Tensor,
    *,
    round_index: int,
    noise_std: float,
    wanted: Tensor,
    kept: Tensor,
    norms: Tensor,
    clip_bound: float,
    critic_gaps: Tensor | None = None,
    public: dict[str, float] | None = None,
) -> RoundReport:
    """The report of a round, with the figures that every learner has.

    `wanted` and `kept` are the flat sums of the contributions before and after clipping, `norms`
    their norms before it, a row for each contributor. `critic_gaps` are the last losses of the
    joining owners' critics; `public` has further figures inside the guarantee.
    """
    number = round_index + 1
    return RoundReport(
        release=release,
        public={
            "round": number,
            "release_norm": float(release.norm()),
            "noise_norm_expected": noise_std * release.numel() ** 0.5,
            **(public or {}),
        },
        private={
            "round": number,
            "joined": len(norms),
            "critic_gap": 0.0 if critic_gaps is None else _mean(critic_gaps),
            "norm_mean": _mean(norms),
            "norm_spread": float(norms.std() / norms.mean()) if norms.numel() > 1 else 0.0,
            "clipped_share": _mean((norms > clip_bound).to(norms)),
            "clip_cosine": float(torch.cosine_similarity(wanted, kept, dim=0)),
            "signal_norm": float(kept.norm()),
        },
    )


def _mean(values: Tensor) -> float:
    return float(values.mean()) if values.numel() else 0.0
