"""What a release costs: the two kinds of events, and epsilon of a list of them.

Import these names from `dpgen_core.accounting.ledger`, whose docstring explains units and accountants.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from dpgen_core.accounting.pld import pld_epsilon
from dpgen_core.accounting.rdp import (
    ORDERS,
    RELATIONS,
    Relation,
    cached_curve,
    rdp_to_epsilon,
)
from dpgen_core.checks import check_choice, check_int, check_real, require

Accountant = Literal["rdp", "pld"]
ACCOUNTANTS: tuple[Accountant, ...] = ("rdp", "pld")

# (sum of 1 / m^2 over plain events; (s, q, rounds) of each kind of sampled event, sorted). Order
# and grouping of the charges then cannot change a figure, not even in its last digit.
Composition = tuple[float, tuple[tuple[float, float, int], ...]]


class BudgetExceeded(RuntimeError):
    """A release would pass the budget. Nothing was recorded, and nothing may be released."""


@dataclass(frozen=True)
class GaussianEvent:
    """`count` releases of a Gaussian mechanism.

    Attributes:
        name: what was released, for the reader of the ledger.
        noise_multiplier: noise std over the L2 sensitivity under the ledger's relation, > 0.
        count: number of releases, >= 1.
    """

    name: str
    noise_multiplier: float
    count: int = 1

    def __post_init__(self) -> None:
        """Validate; raises `InvalidArgument`."""
        _settle(self)


@dataclass(frozen=True)
class SampledGaussianEvent:
    """`count` rounds of the Poisson-sampled Gaussian mechanism.

    Attributes:
        name: what was released.
        noise_multiplier: noise std over the contribution bound C (the norm of one contribution), >
            0.
        sampling_rate: probability q in (0, 1] that a contributor joins a round.
        count: number of rounds, >= 1.
    """

    name: str
    noise_multiplier: float
    sampling_rate: float
    count: int = 1

    def __post_init__(self) -> None:
        """Validate; raises `InvalidArgument`."""
        _settle(self)


Event = GaussianEvent | SampledGaussianEvent


def epsilon_of_events(
    events: Iterable[Event], *, delta: float, relation: Relation, accountant: Accountant
) -> float:
    """Epsilon at `delta` of all `events` together; 0.0 for none, infinity where no bound is known.

    Raises:
        InvalidArgument: something that is no event, or a setting out of range.
    """
    checked = check_events(events)
    check_setting(delta, relation, accountant)
    return composed_epsilon(checked, delta, relation, accountant)


def composed_epsilon(
    events: Iterable[Event], delta: float, relation: Relation, accountant: Accountant
) -> float:
    """`epsilon_of_events` without its checks; figures are cached by what determines them."""
    return _epsilon(_compose(events, relation), float(delta), relation, accountant)


def _compose(events: Iterable[Event], relation: Relation) -> Composition:
    plain: list[float] = []
    sampled: dict[tuple[float, float], int] = {}
    for event in events:
        if isinstance(event, GaussianEvent):
            plain.append(event.count / event.noise_multiplier**2)
        elif event.sampling_rate == 1.0:
            # Everybody joins: a plain Gaussian whose sensitivity is 2 C when a contribution is
            # replaced.
            reach = 2 if relation == "replace-one" else 1
            plain.append(event.count * (reach / event.noise_multiplier) ** 2)
        else:
            key = (event.noise_multiplier, event.sampling_rate)
            sampled[key] = sampled.get(key, 0) + event.count
    return math.fsum(plain), tuple(sorted((s, q, count) for (s, q), count in sampled.items()))


@lru_cache(maxsize=1024)
def _epsilon(
    composition: Composition, delta: float, relation: Relation, accountant: Accountant
) -> float:
    plain, sampled = composition
    if not plain and not sampled:
        return 0.0
    curve = plain * ORDERS / 2  # (orders,)
    for noise, rate, count in sampled:
        curve = curve + count * cached_curve(noise, rate, relation)
    by_rdp = rdp_to_epsilon(curve, delta)
    if accountant == "rdp":
        return by_rdp
    return pld_epsilon(plain, sampled, delta=delta, relation=relation, rdp_epsilon=by_rdp)


def check_setting(delta: float, relation: Relation, accountant: Accountant) -> None:
    """Require delta in (0, 1), a known relation and a known accountant."""
    check_real("delta", delta, low=0, high=1, low_open=True, high_open=True, fix="delta=1e-5")
    check_choice("relation", relation, RELATIONS)
    check_choice("accountant", accountant, ACCOUNTANTS)


def check_target(target_epsilon: float) -> None:
    """Require a finite target_epsilon > 0."""
    check_real("target_epsilon", target_epsilon, low=0, low_open=True, fix="target_epsilon=10.0")


def check_rate(sampling_rate: float) -> None:
    """Require sampling_rate in (0, 1]."""
    check_real(
        "sampling_rate", sampling_rate, low=0, high=1, low_open=True, fix="sampling_rate=0.1"
    )


def check_rounds(rounds: int, argument: str = "rounds") -> None:
    """Require a whole number of at least 1."""
    check_int(argument, rounds, low=1, fix=f"{argument}=300")


def check_events(events: Iterable[Event]) -> tuple[Event, ...]:
    """The events as a tuple; anything that is no event is refused."""
    checked = tuple(events)
    for event in checked:
        require(
            isinstance(event, Event),
            "event",
            event,
            "a GaussianEvent or a SampledGaussianEvent",
            "GaussianEvent('counts', 2.0)",
        )
    return checked


def _settle(event: Event) -> None:
    """Validate an event's fields; make them plain Python types, which hash and print alike."""
    named = isinstance(event.name, str) and bool(event.name)
    require(named, "name", event.name, "a non-empty text", "name='rounds'")
    noise = event.noise_multiplier
    check_real("noise_multiplier", noise, low=0, low_open=True, fix="noise_multiplier=1.0")
    check_rounds(event.count, "count")
    object.__setattr__(event, "noise_multiplier", float(noise))
    object.__setattr__(event, "count", int(event.count))
    if isinstance(event, SampledGaussianEvent):
        check_rate(event.sampling_rate)
        object.__setattr__(event, "sampling_rate", float(event.sampling_rate))
