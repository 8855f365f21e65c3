"""Canaries in a training run: do the releases reveal more than the guarantee allows?

A canary is a secret bit of one data owner. Under replace-one the owner holds one of two records.
How far a record can influence its owner is unknown, so the canary controls it completely: the owner
always answers with a fixed direction w_k or with -w_k, five times as long as the bound allows. The
directions of all canaries are orthonormal. The auditor sees the sanitized releases (the adversary
of the theorem), knows every direction, and guesses each bit from its score, the sum over the rounds
of <release, w_k>. Owners without a canary train and answer as usual.

Two tests of the guesses:

* `accuracy_p_value`: under the guarantee an auditor is right with probability (1 + TV) / 2 at most,
  TV being delta(0) of the accounted events. Exact for one canary; many in one run count as
  independent, which they are up to the contributions of owners without one, since their directions
  are orthonormal and the noise is Gaussian.
* `one_run_epsilon`: Steinke, Nasr & Jagielski (2023), valid for any mechanism without that
  assumption, but far below the true epsilon when the latter is large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binom, binomtest
from torch import Tensor

from dpgen_core.checks import check_int, require
from dpgen_core.streams import stream
from dpgen_core.training.owner_trainer import OwnerTrainer

LOUDNESS = 5.0  # length of a canary's answer, in units of C


@dataclass(frozen=True)
class CanaryGuesses:
    """The auditor's scores and the true bits.

    Attributes:
        scores: (m,), positive where the auditor believes in the first record.
        bits: (m,), +1 or -1.
    """

    scores: Tensor
    bits: Tensor

    @property
    def correct(self) -> int:
        """Right guesses when the auditor guesses every bit."""
        return int((self.scores.sign() == self.bits).sum())

    def most_confident(self, count: int) -> int:
        """Right guesses among the `count` canaries with the largest absolute scores."""
        check_int("count", count, low=1, high=len(self.bits), fix="count=100")
        chosen = self.scores.abs().topk(count).indices
        return int((self.scores[chosen].sign() == self.bits[chosen]).sum())


class Canaries:
    """Plants canaries in the first owners of a trainer and reads its releases.

    Args:
        trainer: a fresh trainer; its ensemble's answers are overridden for owners 0..m-1.
        count: m, at most K and at most the dimension B d of a release.
        seed: of bits and directions; independent of the run's.
    """

    def __init__(self, trainer: OwnerTrainer, count: int, *, seed: int = 0) -> None:
        config = trainer.config
        size = config.contribution.generated_batch * trainer.basis.dim
        check_int("count", count, low=1, high=min(config.privacy.num_shards, size), fix="count=100")
        generator = stream(seed, "canaries")
        gaussian = torch.randn(size, count, generator=generator)
        self.directions = torch.linalg.qr(gaussian).Q.T.contiguous()  # (m, B d), orthonormal
        self.bits = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1
        self.scores = torch.zeros(count)
        self._length = LOUDNESS * config.privacy.max_grad_norm
        original = trainer.ensemble.answer

        def answer(joined: Tensor, *arguments: object, **keywords: object) -> Tensor:
            contributions = original(joined, *arguments, **keywords)  # type: ignore[arg-type]
            planted = (joined < count).nonzero()[:, 0]
            owners = joined[planted].cpu()
            answers = self._length * self.bits[owners, None] * self.directions[owners]
            contributions[planted] = answers.reshape(len(owners), *contributions.shape[1:])
            return contributions

        trainer.ensemble.answer = answer  # type: ignore[method-assign]

    def listen(self, release: Tensor) -> None:
        """Add a release (B, d) to every canary's score."""
        self.scores += self.directions @ release.cpu().flatten()

    def guesses(self) -> CanaryGuesses:
        """The auditor's guesses so far."""
        return CanaryGuesses(self.scores.clone(), self.bits)


def run_with_canaries(trainer: OwnerTrainer, count: int, *, seed: int = 0) -> CanaryGuesses:
    """Warm up, train all rounds, and return the auditor's guesses. Arguments as in `Canaries`."""
    canaries = Canaries(trainer, count, seed=seed)
    trainer.warm_up()
    for index in range(trainer.config.privacy.rounds):
        report = trainer.compute(index)
        canaries.listen(report.release)
        trainer.apply(report)
    return canaries.guesses()


def accuracy_p_value(correct: int, guesses: int, advantage: float) -> float:
    """Probability of so many right guesses when each is right with at most (1 + advantage) / 2.

    Args:
        correct: right guesses.
        guesses: number of guesses.
        advantage: total variation distance of the accounted events.
    """
    return float(binomtest(correct, guesses, (1 + advantage) / 2, alternative="greater").pvalue)


def one_run_p_value(
    correct: int, guesses: int, canaries: int, epsilon: float, delta: float
) -> float:
    """Probability of so many right guesses in a run of any (epsilon, delta)-private mechanism.

    Source: Steinke, Nasr & Jagielski (NeurIPS 2023), the theorem on approximate privacy: a binomial
    tail for delta = 0, plus 2 m delta times the largest mean of the probabilities just below it.

    Args:
        correct: right guesses.
        guesses: r, how many were made.
        canaries: m >= r, each with a fair secret bit.
        epsilon: the hypothesis.
        delta: of the hypothesis.
    """
    require(
        0 <= correct <= guesses <= canaries,
        "correct",
        correct,
        f"at most guesses = {guesses}, and that at most canaries = {canaries}",
        "count them again",
    )
    chance = 1 / (1 + np.exp(-epsilon))
    tail = float(binom.sf(correct - 1, guesses, chance))
    below = binom.pmf(np.arange(correct - 1, -1, -1), guesses, chance)  # (correct,)
    means = np.cumsum(below) / np.arange(1, correct + 1)
    slack = 2 * canaries * delta * float(means.max(initial=0.0))
    return min(1.0, tail + slack)


def one_run_epsilon(
    correct: int, guesses: int, canaries: int, *, delta: float, confidence: float = 0.95
) -> float:
    """Largest epsilon that `one_run_p_value` rejects, 0.0 if it rejects none.

    Args:
        correct: right guesses.
        guesses: r, fixed before the run.
        canaries: m.
        delta: of the guarantee.
        confidence: in (0, 1).
    """
    low, high = 0.0, 50.0
    if one_run_p_value(correct, guesses, canaries, 0.0, delta) > 1 - confidence:
        return 0.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        rejected = one_run_p_value(correct, guesses, canaries, middle, delta) <= 1 - confidence
        low, high = (middle, high) if rejected else (low, middle)
    return low
