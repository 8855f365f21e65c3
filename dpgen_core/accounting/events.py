"""What a release costs: the two kinds of events, and epsilon of a list of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from dpgen_core.accounting import rdp
from dpgen_core.accounting.pld import pld_epsilon
from dpgen_core.accounting.rdp import RELATIONS, Relation
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
    """`count` >= 1 releases, called `name`, of a Gaussian mechanism.

    `noise_multiplier` > 0 is noise std over the L2 sensitivity under the ledger's relation.
    """

    name: str
    noise_multiplier: float
    count: int = 1

    def __post_init__(self) -> None:
        _validate(self)


@dataclass(frozen=True)
class SampledGaussianEvent:
    """`count` >= 1 rounds, called `name`, of the Poisson-sampled Gaussian mechanism.

    `noise_multiplier` > 0 is noise std over C, the bound on the norm of one contribution, and
    `sampling_rate` the probability q in (0, 1] that a contributor joins a round.
    """

    name: str
    noise_multiplier: float
    sampling_rate: float
    count: int = 1

    def __post_init__(self) -> None:
        _validate(self)


Event = GaussianEvent | SampledGaussianEvent


@dataclass(frozen=True)
class Setting:
    """Under which relation, at which delta and by which accountant epsilon is computed.

    With a `group_size` m neighbors differ in up to m records, for example the images of one person.
    """

    relation: Relation
    delta: float
    accountant: Accountant
    group_size: int = 1

    def __post_init__(self) -> None:
        rdp.check_delta(self.delta)
        check_choice("relation", self.relation, RELATIONS)
        check_choice("accountant", self.accountant, ACCOUNTANTS)
        rdp.check_group(self.group_size, self.relation)
        object.__setattr__(self, "delta", float(self.delta))
        object.__setattr__(self, "group_size", int(self.group_size))

    def epsilon(self, events: Iterable[Event]) -> float:
        """`epsilon_of_events` of checked events; cached by what determines the figure."""
        composition = self.composition(events)
        return _epsilon(composition, self.delta, self.relation, self.accountant, self.group_size)

    def composition(self, events: Iterable[Event]) -> Composition:
        """What of checked events determines every figure, whatever their names and order."""
        return _compose(events, self.relation, self.group_size)


def epsilon_of_events(
    events: Iterable[Event],
    *,
    delta: float,
    relation: Relation,
    accountant: Accountant,
    group_size: int = 1,
) -> float:
    """Epsilon at `delta` of all `events` together; 0.0 for none, infinity where none is known.

    With a `group_size` m it is for neighbors that differ in up to m records. A plain release is then
    one of m times its sensitivity; of sampled rounds the Renyi figure is the answer of both accountants.
    """
    checked = check_events(events)
    return Setting(relation, delta, accountant, group_size).epsilon(checked)


def _compose(events: Iterable[Event], relation: Relation, group_size: int) -> Composition:
    plain: list[float] = []
    sampled: dict[tuple[float, float], int] = {}
    for event in events:
        if isinstance(event, GaussianEvent):
            plain.append(event.count * group_size**2 / event.noise_multiplier**2)
        elif event.sampling_rate == 1.0:  # everybody joins: a plain Gaussian
            reach = 2 if relation == "replace-one" else 1  # sensitivity over C
            plain.append(event.count * group_size**2 * (reach / event.noise_multiplier) ** 2)
        else:
            key = (event.noise_multiplier, event.sampling_rate)
            sampled[key] = sampled.get(key, 0) + event.count
    return math.fsum(plain), tuple(sorted((s, q, count) for (s, q), count in sampled.items()))


@lru_cache(maxsize=1024)
def _epsilon(
    composition: Composition,
    delta: float,
    relation: Relation,
    accountant: Accountant,
    group_size: int,
) -> float:
    plain, sampled = composition
    if not plain and not sampled:
        return 0.0
    curve = plain * rdp.ORDERS / 2  # (orders,)
    for noise, rate, count in sampled:
        curve = curve + count * rdp.cached_curve(noise, rate, relation, group_size)
    by_rdp = rdp.rdp_to_epsilon(curve, delta)
    # No library has the loss distribution of a group's antipodal pair.
    if accountant == "rdp" or (sampled and group_size > 1):
        return by_rdp
    return pld_epsilon(plain, sampled, delta=delta, relation=relation, rdp_epsilon=by_rdp)


def check_target(target_epsilon: float) -> None:
    """Require a finite target_epsilon > 0."""
    check_real("target_epsilon", target_epsilon, low=0, low_open=True, fix="target_epsilon=10.0")


def check_rounds(rounds: int, argument: str = "rounds") -> None:
    """Require a whole number of at least 1."""
    check_int(argument, rounds, low=1, fix=f"{argument}=300")


def check_events(events: Iterable[Event]) -> tuple[Event, ...]:
    """The events as a tuple; anything that is no event is refused."""
    checked = tuple(events)
    rule, fix = "a GaussianEvent or a SampledGaussianEvent", "GaussianEvent('counts', 2.0)"
    for event in checked:
        require(isinstance(event, Event), "event", event, rule, fix)
    return checked


def _validate(event: Event) -> None:
    """Validate an event's fields; make them plain Python types, which hash and print alike."""
    named = isinstance(event.name, str) and bool(event.name)
    require(named, "name", event.name, "a non-empty text", "name='rounds'")
    noise = event.noise_multiplier
    check_real("noise_multiplier", noise, low=0, low_open=True, fix="noise_multiplier=1.0")
    check_rounds(event.count, "count")
    object.__setattr__(event, "noise_multiplier", float(noise))
    object.__setattr__(event, "count", int(event.count))
    if isinstance(event, SampledGaussianEvent):
        rdp.check_rate(event.sampling_rate)
        object.__setattr__(event, "sampling_rate", float(event.sampling_rate))
