"""The ledger: refusal, merging, printed bounds, and what every function refuses."""

from __future__ import annotations

import json
import math
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from companion.studies import lineage_accounting
from dpgen_core.accounting import (
    BudgetExceeded,
    GaussianEvent,
    Ledger,
    SampledGaussianEvent,
    bound_text,
    calibrate_gaussian,
    calibrate_noise,
    epsilon_of_events,
    epsilon_spent,
    max_rounds,
)
from dpgen_core.accounting.pld import smallest_delta
from dpgen_core.checks import InvalidArgument

REPLACE, ADD = "replace-one", "add-or-remove"


SETTING = {"relation": REPLACE, "delta": 1e-5}


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_ledger_refuses_before_recording(accountant):
    noise = calibrate_noise(
        target_epsilon=2, sampling_rate=0.1, rounds=40, accountant=accountant, delta=1e-5
    )
    ledger = Ledger(accountant=accountant, target_epsilon=2, **SETTING)
    event = SampledGaussianEvent("rounds", noise, 0.1)
    for _ in range(40):
        ledger.charge(event)
    before = ledger.events
    while True:  # the calibration's tolerance may leave room for a round, not for many
        try:
            ledger.charge(event)
        except BudgetExceeded as error:
            assert "rounds" in str(error) and "budget of 2" in str(error)
            break
        before = ledger.events
    assert ledger.events == before and 40 <= before[0].count <= 41
    assert ledger.epsilon() <= 2
    with pytest.raises(BudgetExceeded):
        ledger.charge(GaussianEvent("one more", 0.5))
    assert ledger.events == before


def test_ledger_merges_neighbors_and_round_trips():
    ledger = Ledger(accountant="rdp", target_epsilon=20, **SETTING)
    assert ledger.epsilon() == 0.0 and ledger.events == ()
    round_ = SampledGaussianEvent("rounds", 3, 0.1)
    for event in [
        GaussianEvent("prior", 4.0),
        round_,
        round_,
        SampledGaussianEvent("x", 3, 0.1, 2),
    ]:
        ledger.charge(event)
    assert [(e.name, e.count) for e in ledger.events] == [("prior", 1), ("rounds", 2), ("x", 2)]
    text = json.dumps(ledger.to_dict(), allow_nan=False)
    again = Ledger.from_dict(json.loads(text))
    assert again.events == ledger.events and again.settings() == ledger.settings()
    assert again.epsilon("rdp") == ledger.epsilon() and again.epsilon("pld") < ledger.epsilon()
    again.charge(round_)
    assert len(ledger.events) == 3 and again.epsilon() > ledger.epsilon()
    assert Ledger(**ledger.settings()).events == ()

    tampered = json.loads(text)
    tampered["events"][1]["count"] = 10**6
    with pytest.raises(BudgetExceeded):
        Ledger.from_dict(tampered)
    for change in (
        {"extra": 1},
        {"events": [{"kind": "laplace"}]},
        {"events": [{"kind": "gaussian"}]},
    ):
        with pytest.raises(InvalidArgument):
            Ledger.from_dict({**ledger.to_dict(), **change})


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_charging_is_cheap(accountant):
    ledger = Ledger(accountant=accountant, target_epsilon=10, **SETTING)
    event = SampledGaussianEvent("rounds", 2.5, 0.1)
    start = time.perf_counter()
    for _ in range(400):
        ledger.charge(event)
        ledger.epsilon("rdp")
    assert (time.perf_counter() - start) / 400 < 5e-3


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_other_events_that_leave_nothing_are_named(accountant):
    budget = {"target_epsilon": 1.0, "delta": 1e-5, "sampling_rate": 0.1, "accountant": accountant}
    others = [GaussianEvent("prior", 1.0)]
    with pytest.raises(BudgetExceeded, match="prior"):
        calibrate_noise(rounds=10, other_events=others, **budget)
    with pytest.raises(BudgetExceeded, match="prior"):
        max_rounds(noise_multiplier=5.0, other_events=others, **budget)
    assert max_rounds(noise_multiplier=0.3, **budget) == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(value=st.floats(0, 1e6), digits=st.integers(0, 6))
def test_what_is_printed_of_a_bound_is_a_bound(value, digits):
    printed = Decimal(bound_text(value, digits))
    assert printed - Decimal(10) ** -digits < Decimal(repr(value)) <= printed
    assert -printed.as_tuple().exponent == digits


def test_a_bound_has_three_digits_and_may_be_infinite():
    assert bound_text(9.3141) == "9.315"
    assert bound_text(9.315) == "9.315"  # what is exact is not moved by its binary rounding
    assert bound_text(math.inf) == "inf"


@pytest.mark.parametrize("rounds", [1, 300, 20_000])
def test_the_smallest_delta_has_an_answer_and_less_than_half_of_it_has_none(rounds):
    event = SampledGaussianEvent("x", 30.0, 0.1, rounds)
    setting = {"relation": REPLACE, "accountant": "pld"}
    low = smallest_delta(rounds)
    assert 0 < epsilon_of_events([event], delta=low, **setting) < math.inf
    assert epsilon_of_events([event], delta=0.4 * low, **setting) == math.inf
    assert low < 1e-8  # far below any delta in use


def test_infinity_where_nothing_is_known():
    hopeless = SampledGaussianEvent("x", 1e-3, 0.5)
    for accountant in ("rdp", "pld"):
        assert epsilon_of_events([hopeless], accountant=accountant, **SETTING) == math.inf
    ledger = Ledger(accountant="rdp", target_epsilon=1e6, **SETTING)
    with pytest.raises(BudgetExceeded):
        ledger.charge(hopeless)


def test_unreachable_target_says_so():
    with pytest.raises(InvalidArgument, match="larger epsilon"):
        calibrate_noise(target_epsilon=1e-6, delta=1e-12, sampling_rate=0.1, rounds=10)


def test_lineage_figures():
    mnist = {"num_discriminators": 1000, "noise_multiplier": 1.07, "steps": 20000, "batch": 32}
    assert lineage_accounting.claimed_epsilon(delta=1e-5, **mnist) == pytest.approx(9.99, abs=0.005)
    tight = lineage_accounting.shared_draw_epsilon(delta=1e-5, **mnist)
    assert tight == pytest.approx(329, abs=1)
    loose = lineage_accounting.shared_draw_epsilon(delta=1e-5, accountant="rdp", **mnist)
    assert tight < loose < 366
    # With one image per step nothing is shared, and the lineage's bound is above the tight one.
    single = {**mnist, "batch": 1}
    assert lineage_accounting.shared_draw_epsilon(
        delta=1e-5, **single
    ) < lineage_accounting.claimed_epsilon(delta=1e-5, **single)


BAD = {
    "noise_multiplier": [0, -1.0, math.nan, math.inf, "1", True, None],
    "sampling_rate": [0, -0.1, 1.01, math.nan, "0.1", True],
    "rounds": [0, -3, 1.5, "10", True, math.nan],
    "delta": [0, 1, -1e-5, math.nan, "1e-5", True],
    "relation": ["swap", None, 1],
    "accountant": ["gdp", None],
    "target_epsilon": [0, -1, math.nan, math.inf, "10", True, None],
}


GOOD = {
    "noise_multiplier": 2.0,
    "sampling_rate": 0.1,
    "rounds": 3,
    "delta": 1e-5,
    "relation": REPLACE,
    "accountant": "rdp",
    "target_epsilon": 5.0,
}


FUNCTIONS = {
    epsilon_spent: (
        "noise_multiplier",
        "sampling_rate",
        "rounds",
        "delta",
        "relation",
        "accountant",
    ),
    calibrate_noise: (
        "target_epsilon",
        "sampling_rate",
        "rounds",
        "delta",
        "relation",
        "accountant",
    ),
    max_rounds: (
        "target_epsilon",
        "noise_multiplier",
        "sampling_rate",
        "delta",
        "relation",
        "accountant",
    ),
    calibrate_gaussian: ("target_epsilon", "delta", "relation", "accountant"),
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_argument_is_validated(function):
    good = {name: GOOD[name] for name in FUNCTIONS[function]}
    assert function(**good) > 0
    for name in good:
        for value in BAD[name]:
            with pytest.raises(InvalidArgument, match=name):
                function(**{**good, name: value})


def test_events_and_ledger_are_validated():
    for noise in BAD["noise_multiplier"]:
        with pytest.raises(InvalidArgument, match="noise_multiplier"):
            GaussianEvent("x", noise)
    with pytest.raises(InvalidArgument, match="name"):
        GaussianEvent("", 1.0)
    with pytest.raises(InvalidArgument, match="count"):
        SampledGaussianEvent("x", 1.0, 0.1, 0)
    with pytest.raises(InvalidArgument, match="target_epsilon"):
        Ledger(accountant="rdp", target_epsilon=-1, **SETTING)
    with pytest.raises(InvalidArgument, match="event"):
        Ledger(accountant="rdp", **SETTING).charge("rounds")
    with pytest.raises(InvalidArgument, match="event"):
        epsilon_of_events([1.0], accountant="rdp", **SETTING)
    with pytest.raises(InvalidArgument, match="accountant"):
        Ledger(accountant="rdp", **SETTING).epsilon("gdp")
