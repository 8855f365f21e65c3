"""Tight epsilon by numerical composition of privacy loss distributions (dp_accounting).

dp_accounting builds the distribution by "connect the dots" (Doroshenko et al. 2022), which is
pessimistic: the discrete pair dominates the true one. Three choices are ours.

* *Relation.* Under REPLACE_ONE, dp_accounting's sampled Gaussian is the antipodal pair of
  `dpgen_core.accounting.rdp`, its multiplier being noise std over the contribution bound, as here.
  Its *plain* Gaussian would be N(-1) against N(+1) too, that is, sensitivity 2. Our plain events
  are in units of the sensitivity itself, so they are N(0) against N(1) under either relation.
* *Interval.* A coarse interval spreads a small loss over its neighbors and overstates epsilon; a
  fine one costs time. We take the smaller of epsilon / 10,000 (epsilon by Renyi accounting) and
  half the typical loss of one round, q / (2 s), but at most 100,000 points a round; rounded to a
  power of two so that searches reuse the distribution of a round.
* *Rounding.* Composition by FFT adds errors of about T times the machine precision to delta, which
  are not pessimistic: against the exact Gaussian, epsilon came out too small from delta = 1e-12
  down (T = 20,000). So we ask for epsilon at a slightly smaller delta, and answer infinity where
  none is left.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from dp_accounting import NeighboringRelation
from dp_accounting.gaussian_mechanism import get_epsilon_gaussian
from dp_accounting.pld import privacy_loss_distribution

from dpgen_core.accounting.rdp import Relation

_RELATIONS = {
    "replace-one": NeighboringRelation.REPLACE_ONE,
    "add-or-remove": NeighboringRelation.ADD_OR_REMOVE_ONE,
}
_MAX_POINTS = 100_000  # per round
_HOPELESS = 2000.0  # an epsilon beyond which a tight figure is of no use and costs gigabytes


def pld_epsilon(
    plain: float,
    sampled: tuple[tuple[float, float, int], ...],
    *,
    delta: float,
    relation: Relation,
    rdp_epsilon: float,
) -> float:
    """Upper bound on epsilon of a composition, tight up to discretization.

    Args:
        plain: sum of 1 / m^2 over the Gaussian mechanisms, which are one of multiplier plain^-1/2.
        sampled: (noise multiplier s, sampling rate q < 1, rounds) of each Poisson-sampled Gaussian.
        delta: in (0, 1).
        relation: neighboring relation.
        rdp_epsilon: the same composition's epsilon by Renyi accounting; it sets the interval, and
            it is the answer where it exceeds 2000.

    Returns:
        epsilon >= 0, or infinity where rounding errors are as large as delta.
    """
    if not sampled:
        # Exact (Balle & Wang 2018); the factor covers the root finder's tolerance.
        return get_epsilon_gaussian(plain**-0.5, delta) * (1 + 1e-9) + 1e-9 if plain else 0.0
    if rdp_epsilon > _HOPELESS:
        return rdp_epsilon
    rounds = sum(count for _, _, count in sampled)
    delta = delta * (1 - 1e-4) - _rounding(rounds)
    if delta <= 0:
        return math.inf
    typical = min(q / (2 * s) for s, q, _ in sampled)
    wanted = min(1e-4 * max(rdp_epsilon, 1e-3), typical)
    widest = max(_width(s, q) for s, q, _ in sampled)
    if plain:
        widest = max(widest, _width(1 / math.sqrt(plain)))
    interval = 2.0 ** math.floor(math.log2(max(wanted, 2 * widest / _MAX_POINTS)))
    total: Any = None
    for noise, rate, count in sampled:
        part = _one_round(noise, rate, relation, interval).self_compose(count)
        total = part if total is None else total.compose(part)
    if plain:
        part = privacy_loss_distribution.from_gaussian_mechanism(
            plain**-0.5, value_discretization_interval=interval
        )
        total = total.compose(part)
    return float(total.get_epsilon_for_delta(delta))


def smallest_delta(rounds: int) -> float:
    """A delta, with some to spare, at which `pld_epsilon` has an answer for so many rounds."""
    return 2 * _rounding(rounds)


def _rounding(rounds: int) -> float:
    """What rounding in the composition may have taken off delta."""
    return 1e-15 * (100 + 10 * rounds)


def _width(noise: float, rate: float = 1.0) -> float:
    """Width of the range of losses of one release, out to ten standard deviations; roughly."""
    largest = (20 * noise + 3) / (2 * noise**2)
    if rate == 1.0:
        return 2 * largest
    joined = float(np.logaddexp(math.log1p(-rate), math.log(rate) + largest))
    return 2 * (joined + min(largest, -math.log1p(-rate)))


@lru_cache(maxsize=16)
def _one_round(noise: float, rate: float, relation: Relation, interval: float) -> Any:
    """Distribution of one round; kept, as searches over the number of rounds ask for it again."""
    return privacy_loss_distribution.from_gaussian_mechanism(
        noise,
        sampling_prob=rate,
        value_discretization_interval=interval,
        neighboring_relation=_RELATIONS[relation],
    )
