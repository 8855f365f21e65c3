"""Tight epsilon by numerical composition of privacy loss distributions (dp_accounting).

Its discrete distributions dominate the true ones (Doroshenko et al. 2022). Three choices are ours:
(1) Under REPLACE_ONE its sampled Gaussian is the antipodal pair of `rdp`, but its plain Gaussian
would have sensitivity 2; ours is in units of the sensitivity, N(0) against N(1) in any relation.
(2) A coarse interval overstates epsilon, a fine one costs time: we take the smaller of Renyi's
epsilon / 10,000 and half a round's typical loss, q / (2 s), but at most 100,000 points a round, as
a power of two so that searches reuse a round. (3) Composition by FFT loses about T times machine
precision of delta, so we ask at a slightly smaller delta; where none is left, infinity.
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

    `plain` is the sum of 1 / m^2 over the Gaussian mechanisms; `sampled` has (noise multiplier s,
    sampling rate q < 1, rounds) of each Poisson-sampled one. `rdp_epsilon`, by Renyi accounting,
    sets the interval; above 2000 it is the answer. Infinity where rounding errors reach delta.
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
    interval = _interval(plain, sampled, min(1e-4 * max(rdp_epsilon, 1e-3), typical))
    return float(_composed(plain, sampled, relation, interval).get_epsilon_for_delta(delta))


def pld_total_variation(
    plain: float,
    sampled: tuple[tuple[float, float, int], ...],
    *,
    relation: Relation,
    rdp_epsilon: float,
) -> float:
    """Upper bound on the total variation distance of a composition: delta at epsilon 0.

    `plain` and `sampled` are as in `pld_epsilon`, and one of them is not empty; where `rdp_epsilon`, at
    any delta, is above 2000 the answer is 1. Exact without sampled mechanisms; else the interval is a
    thirty-second of a round's typical loss, which overstates a distance by less than 1e-4.
    """
    if not sampled:
        return math.erf(math.sqrt(plain / 8))  # 2 Phi(1 / (2 m)) - 1
    if rdp_epsilon > _HOPELESS:
        return 1.0
    finest = min(q / (2 * s) for s, q, _ in sampled) / 16
    together = _composed(plain, sampled, relation, _interval(plain, sampled, finest))
    rounds = sum(count for _, _, count in sampled)
    return min(1.0, float(together.get_delta_for_epsilon(0.0)) * (1 + 1e-4) + _rounding(rounds))


def smallest_delta(rounds: int) -> float:
    """A delta, with some to spare, at which `pld_epsilon` has an answer for so many rounds."""
    return 2 * _rounding(rounds)


def _rounding(rounds: int) -> float:
    """What rounding in the composition may have taken off delta."""
    return 1e-15 * (100 + 10 * rounds)


def _interval(plain: float, sampled: tuple[tuple[float, float, int], ...], wanted: float) -> float:
    """The one asked for, or a wider one with few enough points, as a power of two."""
    widest = max(_width(s, q) for s, q, _ in sampled)
    if plain:
        widest = max(widest, _width(1 / math.sqrt(plain)))
    return 2.0 ** math.floor(math.log2(max(wanted, 2 * widest / _MAX_POINTS)))


def _width(noise: float, rate: float = 1.0) -> float:
    """Width of the range of losses of one release, out to ten standard deviations; roughly."""
    largest = (20 * noise + 3) / (2 * noise**2)
    if rate == 1.0:
        return 2 * largest
    joined = float(np.logaddexp(math.log1p(-rate), math.log(rate) + largest))
    return 2 * (joined + min(largest, -math.log1p(-rate)))


@lru_cache(maxsize=2)
def _composed(
    plain: float,
    sampled: tuple[tuple[float, float, int], ...],
    relation: Relation,
    interval: float,
) -> Any:
    """Distribution of everything together; kept, as a statement asks at many deltas."""
    total: Any = None
    for noise, rate, count in sampled:
        part = _one_round(noise, rate, relation, interval).self_compose(count)
        total = part if total is None else total.compose(part)
    if plain:
        part = privacy_loss_distribution.from_gaussian_mechanism(
            plain**-0.5, value_discretization_interval=interval
        )
        total = total.compose(part)
    return total


@lru_cache(maxsize=16)
def _one_round(noise: float, rate: float, relation: Relation, interval: float) -> Any:
    """Distribution of one round; kept, as searches over the number of rounds ask for it again."""
    return privacy_loss_distribution.from_gaussian_mechanism(
        noise,
        sampling_prob=rate,
        value_discretization_interval=interval,
        neighboring_relation=_RELATIONS[relation],
    )
