"""Neighbors that differ in several records: the pair that dominates them, and what is charged."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, norm

from dpgen_core.accounting import (
    GaussianEvent,
    Ledger,
    SampledGaussianEvent,
    calibrate_gaussian,
    calibrate_noise,
    epsilon_of_events,
    pld,
)
from dpgen_core.accounting.calibration import total_variation
from dpgen_core.accounting.events import ACCOUNTANTS, Event
from dpgen_core.accounting.rdp import LARGEST_GROUP, sampled_gaussian_rdp
from dpgen_core.checks import InvalidArgument

SETTING = {"delta": 1e-5, "relation": "replace-one"}


def epsilon(events: list[Event], accountant: str = "rdp", **changed: object) -> float:
    return epsilon_of_events(events, **SETTING | {"accountant": accountant} | changed)  # type: ignore[arg-type]


def mixture(x: np.ndarray, size: int, rate: float, noise: float, sign: int) -> np.ndarray:
    """Density of the group's sum in one of the two worlds."""
    chances = binom.pmf(np.arange(size + 1), size, rate)
    return sum(p * norm.pdf(x, sign * j, noise) for j, p in enumerate(chances))


@pytest.mark.parametrize(
    ("size", "rate", "noise", "alpha"),
    [
        (2, 0.1, 2.2, 2.5),
        (5, 0.01, 3.0, 8.0),
        (3, 0.3, 1.5, 1.3),
        (8, 0.2, 9.0, 17.0),
        (4, 0.9, 1.0, 6.0),
    ],
)
def test_the_curve_is_that_of_the_binomial_pair(
    size: int, rate: float, noise: float, alpha: float
) -> None:
    with mpmath.workdps(40):
        q, s, a = mpmath.mpf(rate), mpmath.mpf(noise), mpmath.mpf(alpha)

        def world(x: mpmath.mpf, sign: int) -> mpmath.mpf:
            chances = (
                mpmath.binomial(size, j) * q**j * (1 - q) ** (size - j) for j in range(size + 1)
            )
            return sum(p * mpmath.npdf(x, sign * j, s) for j, p in enumerate(chances))

        # Equal steps converge exponentially fast for what is smooth and falls off like a bell.
        points = mpmath.linspace(-12 * s, size * (2 * a - 1) + 12 * s, 1001)
        values = [world(x, 1) ** a * world(x, -1) ** (1 - a) for x in points]
        moment = mpmath.fsum(values) * (points[1] - points[0])
        exact = float(mpmath.log(moment) / (a - 1))
    ours = float(sampled_gaussian_rdp(noise, rate, orders=alpha, group_size=size))
    assert exact <= ours <= exact * (1 + 1e-6)


def excess(up: np.ndarray, down: np.ndarray, gamma: float, cell: float) -> float:
    return float(np.maximum(up - gamma * down, 0).sum() * cell)


def line(size: int, rate: float, noise: float, gamma: float) -> float:
    """The largest P(S) - gamma Q(S) of the group's pair."""
    x, step = np.linspace(-size - 9 * noise, size + 9 * noise, 40_001, retstep=True)
    up, down = (mixture(x, size, rate, noise, sign) for sign in (1, -1))
    return excess(up, down, gamma, float(step))


def plane(here: np.ndarray, there: np.ndarray, rate: float, noise: float, gamma: float) -> float:
    """The same for two contributors, whose vectors (2, 2) are `here` in one world."""
    reach = 2.5 + 7 * noise
    axis, step = np.linspace(-reach, reach, 501, retstep=True)

    def world(vectors: np.ndarray) -> np.ndarray:
        total = np.zeros((len(axis), len(axis)))
        for coins in ((0, 0), (0, 1), (1, 0), (1, 1)):
            chance = np.prod([rate if coin else 1 - rate for coin in coins])
            along = [norm.pdf(axis, c, noise) for c in np.array(coins) @ vectors]
            total += chance * along[0][:, None] * along[1][None, :]
        return total

    return excess(world(here), world(there), gamma, float(step) ** 2)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 3.0])
def test_no_two_contributors_in_the_plane_beat_the_pair(gamma: float) -> None:
    rng = np.random.default_rng(int(10 * gamma))
    for _ in range(8):
        rate, noise = rng.uniform(0.05, 1.0), math.exp(rng.uniform(math.log(0.4), math.log(2)))
        angles, radii = rng.uniform(0, 2 * math.pi, (2, 2)), rng.choice([1.0, 0.5], (2, 2, 1))
        here, there = radii * np.stack([np.cos(angles), np.sin(angles)], axis=2)
        assert plane(here, there, rate, noise, gamma) <= line(2, rate, noise, gamma) + 2e-5


def test_the_comparison_in_the_plane_can_fail() -> None:
    """Aligned vectors attain the bound for two, which is above the one for a single contributor."""
    rate, noise, gamma = 0.3, 0.8, 1.5
    both = np.tile([math.cos(0.6), math.sin(0.6)], (2, 1))
    attained = plane(both, -both, rate, noise, gamma)
    assert attained == pytest.approx(line(2, rate, noise, gamma), abs=2e-5)
    assert attained > line(1, rate, noise, gamma) + 1e-2


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_round_is_charged_at_least_its_exact_epsilon(size: int) -> None:
    noise, rate = 2.0 * size, 0.2
    exact = brentq(lambda e: line(size, rate, noise, math.exp(e)) - 1e-3, 0.0, 20.0)
    for accountant in ACCOUNTANTS:
        event = SampledGaussianEvent("round", noise, rate)
        charged = epsilon([event], accountant, group_size=size, delta=1e-3)
        assert exact <= charged < 2 * exact + 0.1


@pytest.mark.parametrize("accountant", ACCOUNTANTS)
def test_a_plain_release_has_a_sensitivity_so_many_times_as_large(accountant: str) -> None:
    for size in (1, 3, 10):
        grouped = epsilon([GaussianEvent("sums", 40.0)], accountant, group_size=size)
        alone = epsilon([GaussianEvent("sums", 40.0 / size)], accountant)
        assert grouped == pytest.approx(alone, rel=1e-9)
        everybody = [SampledGaussianEvent("rounds", 80.0, 1.0)]
        assert epsilon(everybody, accountant, group_size=size) == pytest.approx(grouped, rel=1e-9)


def test_a_group_of_one_is_charged_as_before() -> None:
    events: list[Event] = [GaussianEvent("a", 3.0, 2), SampledGaussianEvent("b", 2.5, 0.1, 300)]
    for accountant in ACCOUNTANTS:
        assert epsilon(events, accountant, group_size=1) == epsilon(events, accountant)
    ledger = Ledger(accountant="rdp", group_size=1, **SETTING)  # type: ignore[arg-type]
    assert "group_size" not in ledger.to_dict()
    assert Ledger.from_dict(ledger.to_dict()).settings()["group_size"] == 1


@pytest.mark.parametrize("size", [2, 5])
def test_it_proves_more_than_group_privacy_of_the_record_does(size: int) -> None:
    target, rounds = 6.0, {"sampling_rate": 0.1, "rounds": 300}
    tight = calibrate_noise(target_epsilon=target, delta=1e-5, group_size=size, **rounds)  # type: ignore[arg-type]
    # (e, d) for one record is (k e, d (1 + exp(e) + ... + exp((k - 1) e))) for k.
    delta = 1e-5 / sum(math.exp(i * target / size) for i in range(size))
    usual = calibrate_noise(target_epsilon=target / size, delta=delta, **rounds)  # type: ignore[arg-type]
    one = calibrate_noise(target_epsilon=target, delta=1e-5, **rounds)  # type: ignore[arg-type]
    assert 0.9 * size * one < tight < usual


@pytest.mark.parametrize("accountant", ACCOUNTANTS)
def test_calibration_and_ledger_keep_the_budget_of_the_group(accountant: str) -> None:
    asked = {**SETTING, "accountant": accountant, "target_epsilon": 4.0, "group_size": 3}
    prior = GaussianEvent("prior", calibrate_gaussian(**asked) * 1.2)  # type: ignore[arg-type]
    noise = calibrate_noise(sampling_rate=0.1, rounds=20, other_events=[prior], **asked)  # type: ignore[arg-type]
    events: list[Event] = [prior, SampledGaussianEvent("rounds", noise, 0.1, 20)]
    spent = epsilon(events, accountant, group_size=3)
    assert 3.99 < spent <= 4.0 and epsilon(events, accountant) < 1.5
    ledger = Ledger(**asked)  # type: ignore[arg-type]
    for event in events:
        ledger.charge(event)
    assert ledger.epsilon() == spent
    again = Ledger.from_dict(ledger.to_dict())
    assert again.settings() == ledger.settings() and again.epsilon() == spent


def test_the_chance_to_tell_a_group_apart() -> None:
    """Two normal laws three standard deviations over ten apart."""
    exact = 2 * norm.cdf(0.3 / 2) - 1
    found = total_variation([GaussianEvent("sums", 10.0)], group_size=3)
    assert exact <= found <= exact + 2e-4
    rounds = [SampledGaussianEvent("round", 2.0, 0.3)]
    assert line(3, 0.3, 2.0, 1.0) <= total_variation(rounds, group_size=3) < 1.0


@pytest.mark.parametrize(
    "events",
    [
        [SampledGaussianEvent("round", 2.0, 0.3)],
        [SampledGaussianEvent("rounds", 2.2, 0.1, 300)],
        [SampledGaussianEvent("rounds", 1.5, 0.3, 100), GaussianEvent("sums", 3.0)],
    ],
    ids=["one", "many", "mixed"],
)
def test_the_chance_is_delta_where_epsilon_ends(events: list[Event]) -> None:
    found = total_variation(events)
    assert epsilon(events, "pld", delta=found - 1e-3) > 1e-4
    assert epsilon(events, "pld", delta=found + 1e-3) == pytest.approx(0, abs=1e-6)
    if len(events) == 1 and events[0].count == 1:
        assert line(1, 0.3, 2.0, 1.0) <= found <= line(1, 0.3, 2.0, 1.0) + 1e-4


def test_next_to_no_noise_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not composed, which would take gigabytes."""
    monkeypatch.setattr(pld, "_composed", None)
    assert total_variation([SampledGaussianEvent("rounds", 0.001, 0.1, 300)]) == 1.0


@pytest.mark.parametrize("size", [0, -1, 1.5, True, LARGEST_GROUP + 1])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(InvalidArgument, match="group_size"):
        epsilon([GaussianEvent("sums", 4.0)], group_size=size)
    with pytest.raises(InvalidArgument, match="group_size"):
        sampled_gaussian_rdp(2.0, 0.1, group_size=size)  # type: ignore[arg-type]


def test_groups_are_of_records_that_are_replaced() -> None:
    with pytest.raises(InvalidArgument, match="group_size"):
        epsilon([GaussianEvent("sums", 4.0)], relation="add-or-remove", group_size=2)
