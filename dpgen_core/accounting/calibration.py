"""Noise from a budget and rounds from a budget: searches over the accountants.

Every answer is checked before it is returned, so none exceeds the budget by a rounding error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from scipy.optimize import brentq

from dpgen_core.accounting.events import (
    Accountant,
    BudgetExceeded,
    Event,
    GaussianEvent,
    SampledGaussianEvent,
    Setting,
    check_events,
    check_rounds,
    check_target,
    epsilon_of_events,
)
from dpgen_core.accounting.pld import pld_total_variation
from dpgen_core.accounting.rdp import Relation, check_rate
from dpgen_core.checks import InvalidArgument, require

MOST_ROUNDS = 10_000_000  # what `max_rounds` answers when even more would fit


def epsilon_spent(
    *,
    noise_multiplier: float,
    sampling_rate: float,
    rounds: int,
    delta: float,
    relation: Relation = "replace-one",
    accountant: Accountant = "rdp",
) -> float:
    """Epsilon of `rounds` sampled rounds; arguments as in `SampledGaussianEvent` and `Ledger`."""
    check_rounds(rounds)
    event = SampledGaussianEvent("rounds", noise_multiplier, sampling_rate, rounds)
    return epsilon_of_events([event], delta=delta, relation=relation, accountant=accountant)


def calibrate_noise(
    *,
    target_epsilon: float,
    delta: float,
    sampling_rate: float,
    rounds: int,
    relation: Relation = "replace-one",
    accountant: Accountant = "rdp",
    other_events: Iterable[Event] = (),
    group_size: int = 1,
) -> float:
    """Smallest noise multiplier with which `rounds` rounds and `other_events` fit the budget.

    Arguments as in `epsilon_spent` and `epsilon_of_events`; `other_events` are paid from the same
    `target_epsilon` > 0. The answer is noise std over the contribution bound, its epsilon less than
    0.1 % below the target.

    Raises:
        BudgetExceeded: `other_events` leave nothing.
        InvalidArgument: a value out of range, or a target that no noise reaches.
    """
    check_target(target_epsilon)
    setting = Setting(relation, delta, accountant, group_size)
    check_rate(sampling_rate)
    check_rounds(rounds)
    others = check_events(other_events)
    _check_rest(others, target_epsilon, setting)

    def event(noise: float) -> Event:
        return SampledGaussianEvent("rounds", noise, sampling_rate, rounds)

    return _least_noise(event, others, target_epsilon, setting)


def calibrate_gaussian(
    *,
    target_epsilon: float,
    delta: float,
    relation: Relation,
    accountant: Accountant,
    group_size: int = 1,
) -> float:
    """Smallest noise multiplier (std over sensitivity) of one `GaussianEvent` within the budget.

    Sensitivity is to one record, whatever the `group_size`, which is as in `epsilon_of_events`.
    """
    check_target(target_epsilon)
    setting = Setting(relation, delta, accountant, group_size)
    return _least_noise(lambda noise: GaussianEvent("release", noise), (), target_epsilon, setting)


def max_rounds(
    *,
    target_epsilon: float,
    delta: float,
    noise_multiplier: float,
    sampling_rate: float,
    relation: Relation = "replace-one",
    accountant: Accountant = "rdp",
    other_events: Iterable[Event] = (),
) -> int:
    """Most rounds that fit the budget beside `other_events`: 0 if none does, at most `MOST_ROUNDS`.

    Arguments and errors as in `calibrate_noise`.
    """
    check_target(target_epsilon)
    setting = Setting(relation, delta, accountant)
    others = check_events(other_events)
    event = SampledGaussianEvent("rounds", noise_multiplier, sampling_rate)
    _check_rest(others, target_epsilon, setting)
    return most_fitting(event, others, target_epsilon, setting)


def total_variation(
    events: Iterable[Event], *, relation: Relation = "replace-one", group_size: int = 1
) -> float:
    """Total variation distance (TV) between the outputs of two neighbors, from above.

    Whoever tells two equally likely neighbors apart is right with probability (1 + TV) / 2 at most.
    TV is delta at epsilon 0, by the PLD accountant within 1e-4; for a group's sampled rounds, which
    Renyi accounting alone bounds, it is looser. 0 without events. `group_size` is as in
    `epsilon_of_events`.

    >>> round(total_variation([GaussianEvent("sum", 1.0)]), 3)  # 2 Phi(1 / 2) - 1
    0.383
    """
    checked, setting = check_events(events), Setting(relation, 0.5, "rdp", group_size)
    plain, sampled = setting.composition(checked)
    if not checked:
        return 0.0
    if not sampled or setting.group_size == 1:
        by_rdp = setting.epsilon(checked)
        return pld_total_variation(plain, sampled, relation=relation, rdp_epsilon=by_rdp)
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        spent = replace(setting, delta=middle).epsilon(checked)
        low, high = (middle, high) if spent > 1e-6 else (low, middle)
    return high


def _check_rest(others: tuple[Event, ...], target: float, setting: Setting) -> None:
    spent = setting.epsilon(others)
    if spent >= target:
        names = ", ".join(event.name for event in others)
        raise BudgetExceeded(
            f"other_events: {names} alone spend epsilon {spent:.4f} of target_epsilon={target:g}, "
            "which leaves nothing. Raise the target, or give these releases more noise."
        )


def _least_noise(
    event: Callable[[float], Event], others: tuple[Event, ...], target: float, setting: Setting
) -> float:
    def excess(log_noise: float) -> float:
        """Falls as the noise grows."""
        return _log_ratio([*others, event(math.exp(log_noise))], target, setting)

    high, step = 0.0, math.log(2)
    if setting.accountant == "pld":  # start from the cheap answer, which is close
        try:
            close = _least_noise(event, others, target, replace(setting, accountant="rdp"))
            high, step = math.log(close), math.log(1.15)
        except InvalidArgument:
            pass
    rule = "reachable: no noise multiplier up to 1e6 meets it, beside the other events"
    fix = "a larger epsilon, a larger delta, or accountant='pld'"
    while excess(high) > 0:
        high += step
        require(high < math.log(1e6), "target_epsilon", target, rule, fix)
    low = high - step
    while excess(low) <= 0:
        high, low = low, low - step
        if low < math.log(1e-6):  # so large a target that no noise is needed
            return math.exp(high)
    log_noise = float(brentq(excess, low, high, xtol=1e-6))
    while excess(log_noise) > 0:  # the root may lie on the wrong side by its tolerance
        log_noise += 1e-5
    return math.exp(log_noise)


def most_fitting(event: Event, others: tuple[Event, ...], target: float, setting: Setting) -> int:
    """Largest count of `event` that fits beside `others`."""

    def excess(count: float) -> float:
        """Grows with the whole part of `count`; at most 0 where so many fit."""
        return _log_ratio([*others, replace(event, count=int(count))], target, setting)

    good, step = 0, 1
    if setting.accountant == "pld":
        good = most_fitting(event, others, target, replace(setting, accountant="rdp"))
        if good and excess(good) > 0:
            good = 0
        step = max(1, good // 8)
    while good < MOST_ROUNDS and excess(good + step) <= 0:
        good, step = good + step, 2 * step
    if good >= MOST_ROUNDS:
        return MOST_ROUNDS
    if step > 1:
        good = int(brentq(excess, good, good + step, xtol=0.5))  # within one of the change of sign
    while good and excess(good) > 0:
        good -= 1
    while excess(good + 1) <= 0:
        good += 1
    return good


def _log_ratio(events: Iterable[Event], target: float, setting: Setting) -> float:
    """Log of epsilon over `target`, clipped to stay finite; above 0 exactly where the target is passed.

    Rounding cannot hide that: the quotient of two different numbers is never rounded to 1.
    """
    return math.log(min(max(setting.epsilon(events) / target, 1e-9), 1e9))
