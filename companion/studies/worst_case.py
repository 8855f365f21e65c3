"""Auditing a mechanism by playing its worst case: a million runs, exact confidence bounds.

Under each of two neighbors a step of either mechanism releases a draw from a mixture of Gaussians
on a line. The output of `rounds` such steps is simulated exactly: every step's output is rounded to
one of a few bins, which can only hide information, and the count of each bin over the steps is one
multinomial draw. A lower bound on epsilon for the rounded outputs holds for the outputs.

Two tests use the same runs. The *threshold test* knows nothing about the mechanism: it decides for
one neighbor where a score is high, and bounds both error rates by Clopper and Pearson. The
*hockey-stick test* knows the two distributions and needs no rare events: with L the privacy loss of
a run from P and U uniform, the event U < 1 - exp(epsilon - L) has probability delta(epsilon), so
its frequency bounds delta(epsilon) from below, again by Clopper and Pearson.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import binomtest

from dpgen_core.checks import check_int, check_real, require

_REACH = 8.0  # bins end this many standard deviations outside the outermost mean
_CHUNK = 50_000


@dataclass(frozen=True)
class StepPair:
    """One step's output under two neighbors, in units of the contribution bound.

    Attributes:
        name: of the mechanism.
        present: (weight, mean) of each Gaussian under the first neighbor, P.
        absent: the same under the second, Q.
        noise: standard deviation of every Gaussian, > 0.
    """

    name: str
    present: tuple[tuple[float, float], ...]
    absent: tuple[tuple[float, float], ...]
    noise: float

    def probabilities(self, bins: int) -> tuple[np.ndarray, np.ndarray]:
        """Probability of each bin under P and under Q, (bins,) each; all of them positive."""
        means = [mean for _, mean in (*self.present, *self.absent)]
        reach = _REACH * self.noise
        edges = np.linspace(min(means) - reach, max(means) + reach, bins - 1)
        return _binned(self.present, self.noise, edges), _binned(self.absent, self.noise, edges)


def lineage_step(*, num_discriminators: int, noise_multiplier: float, batch: int) -> StepPair:
    """The worst case of one drawn discriminator in K, derived in `lineage_accounting`.

    Args:
        num_discriminators: K.
        noise_multiplier: sigma as published, per image.
        batch: images per step, which share the draw.
    """
    rate = 1 / num_discriminators
    noise = noise_multiplier / batch**0.5
    return StepPair("one of K drawn", ((1 - rate, 0.0), (rate, 1.0)), ((1.0, 0.0),), noise)


def our_step(*, sampling_rate: float, noise_multiplier: float) -> StepPair:
    """The worst case of a Poisson-sampled shard under replace-one, as in `rdp`."""
    stay = (1 - sampling_rate, 0.0)
    up, down = (sampling_rate, 1.0), (sampling_rate, -1.0)
    return StepPair("Poisson-sampled shards", (stay, up), (stay, down), noise_multiplier)


@dataclass(frozen=True)
class StepAudit:
    """The outcome of testing a claimed guarantee on simulated runs.

    Attributes:
        name: of the mechanism.
        claimed_epsilon: the claim under test, at `delta`.
        delta: of the claim.
        trials: runs under each neighbor.
        confidence: with which each bound below holds by itself.
        true_positive_rate: lower bound, of the threshold test.
        false_positive_rate: upper bound, of the threshold test.
        threshold_epsilon: lower bound on epsilon by the threshold test.
        delta_at_claim: lower bound on delta(claimed_epsilon), by the hockey-stick test.
        epsilon: lower bound on epsilon at `delta`, by the hockey-stick test.
    """

    name: str
    claimed_epsilon: float
    delta: float
    trials: int
    confidence: float
    true_positive_rate: float
    false_positive_rate: float
    threshold_epsilon: float
    delta_at_claim: float
    epsilon: float

    @property
    def violated(self) -> bool:
        """Whether one of the bounds contradicts the claim."""
        beyond = max(self.threshold_epsilon, self.epsilon) > self.claimed_epsilon
        return beyond or self.delta_at_claim > self.delta


def audit_steps(
    pair: StepPair,
    *,
    rounds: int,
    claimed_epsilon: float,
    delta: float,
    trials: int = 1_000_000,
    bins: int = 48,
    confidence: float = 0.999,
    seed: int = 0,
) -> StepAudit:
    """Simulate `rounds` steps `trials` times under each neighbor and test the claim.

    A tenth of the runs choose the threshold and the epsilons to test; the others decide. No run is
    used for both, and the epsilons share the failure probability.

    Args:
        pair: the step.
        rounds: steps per run.
        claimed_epsilon: the claim, with `delta`.
        delta: in (0, 1).
        trials: runs under each neighbor, >= 1000.
        bins: per step, >= 4.
        confidence: of each test.
        seed: of the simulation.

    Raises:
        InvalidArgument: a value is out of range.
    """
    check_int("rounds", rounds, low=1, fix="rounds=500")
    check_int("trials", trials, low=1000, fix="trials=1_000_000")
    check_int("bins", bins, low=4, fix="bins=48")
    check_real("claimed_epsilon", claimed_epsilon, low=0, fix="claimed_epsilon=10.0")
    check_real("delta", delta, low=0, high=1, low_open=True, high_open=True, fix="delta=1e-5")
    require(0.5 < confidence < 1, "confidence", confidence, "in (0.5, 1)", "confidence=0.999")
    random = np.random.default_rng(seed)
    losses_p, losses_q = privacy_losses(pair, rounds, trials, bins, random)
    pilot = trials // 10
    threshold = _best_threshold(losses_p[:pilot], losses_q[:pilot])
    candidates = _candidates(losses_p[:pilot], delta)
    rest_p, rest_q = losses_p[pilot:], losses_q[pilot:]

    one_sided = 1 - (1 - confidence) / 2  # two rates, each with half of the failure probability
    hits, false_alarms = int((rest_p >= threshold).sum()), int((rest_q >= threshold).sum())
    true_positive = lower_bound(hits, len(rest_p), one_sided)
    false_positive = 1 - lower_bound(len(rest_q) - false_alarms, len(rest_q), one_sided)
    by_threshold = 0.0
    if true_positive > delta:
        by_threshold = max(0.0, float(np.log((true_positive - delta) / false_positive)))

    coins = random.random(len(rest_p))
    each = 1 - (1 - confidence) / len(candidates)
    proved = [e for e in candidates if hockey_stick(rest_p, e, coins, each) > delta]
    return StepAudit(
        name=pair.name,
        claimed_epsilon=claimed_epsilon,
        delta=delta,
        trials=trials,
        confidence=confidence,
        true_positive_rate=true_positive,
        false_positive_rate=false_positive,
        threshold_epsilon=by_threshold,
        delta_at_claim=hockey_stick(rest_p, claimed_epsilon, coins, confidence),
        epsilon=max(proved, default=0.0),
    )


def privacy_losses(
    pair: StepPair, rounds: int, trials: int, bins: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Privacy losses log P/Q of `trials` whole runs from P and from Q, (trials,) each."""
    p, q = pair.probabilities(bins)
    step_loss = np.log(p) - np.log(q)  # (bins,)
    losses = []
    for weights in (p, q):
        played = [
            random.multinomial(rounds, weights, size=min(_CHUNK, trials - start)) @ step_loss
            for start in range(0, trials, _CHUNK)
        ]
        losses.append(np.concatenate(played))
    return losses[0], losses[1]


def hockey_stick(losses: np.ndarray, epsilon: float, coins: np.ndarray, confidence: float) -> float:
    """Lower confidence bound on delta(epsilon) from losses of runs from P.

    Args:
        losses: log P/Q of each run, (n,).
        epsilon: at which to bound delta.
        coins: uniform on [0, 1), one per run.
        confidence: of the bound.
    """
    chance = -np.expm1(np.minimum(epsilon - losses, 0.0))  # 1 - exp(epsilon - L), at least 0
    return lower_bound(int((coins < chance).sum()), len(losses), confidence)


def lower_bound(successes: int, trials: int, confidence: float) -> float:
    """One-sided Clopper-Pearson lower bound on a probability."""
    test = binomtest(successes, trials, alternative="greater")
    return float(test.proportion_ci(confidence, method="exact").low)


def _best_threshold(losses_p: np.ndarray, losses_q: np.ndarray) -> float:
    """The best threshold on the pilot runs."""
    candidates = np.quantile(np.concatenate([losses_p, losses_q]), np.linspace(0.01, 0.9999, 400))
    n = len(losses_p)
    above_p = n - np.searchsorted(np.sort(losses_p), candidates)
    above_q = n - np.searchsorted(np.sort(losses_q), candidates)
    # The bounds will assume a few more false alarms than seen, and fewer hits: so does the score.
    score = np.log(np.maximum(above_p - 3 * np.sqrt(above_p), 1e-9) / (above_q + 8.0))
    return float(candidates[int(np.argmax(score))])


def _candidates(losses_p: np.ndarray, delta: float) -> list[float]:
    """Epsilons at which delta(epsilon) is a few times `delta` on the pilot runs."""

    def where(target: float) -> float:
        low, high = 0.0, float(max(losses_p.max(), 0.0))
        for _ in range(60):
            middle = (low + high) / 2
            above = -np.expm1(np.minimum(middle - losses_p, 0.0)).mean() > target
            low, high = (middle, high) if above else (low, middle)
        return low

    return [where(factor * delta) for factor in (2, 3, 5, 10, 30)]


def _binned(
    mixture: tuple[tuple[float, float], ...], noise: float, edges: np.ndarray
) -> np.ndarray:
    upper = np.concatenate([edges, [np.inf]])
    lower = np.concatenate([[-np.inf], edges])
    mass = sum(
        weight
        * np.where(
            lower > mean,  # take each tail from the side where it is small
            ndtr(-(lower - mean) / noise) - ndtr(-(upper - mean) / noise),
            ndtr((upper - mean) / noise) - ndtr((lower - mean) / noise),
        )
        for weight, mean in mixture
    )
    return np.asarray(mass)
