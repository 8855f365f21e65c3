"""Epsilon and calibration: golden values, composition, monotonicity, and dp_accounting."""

from __future__ import annotations

import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings, strategies as st

from dpgen_core.accounting import (
    GaussianEvent,
    SampledGaussianEvent,
    calibrate_gaussian,
    calibrate_noise,
    epsilon_of_events,
    epsilon_spent,
    max_rounds,
)
from dpgen_core.accounting.events import Setting

REPLACE, ADD = "replace-one", "add-or-remove"


SETTING = {"relation": REPLACE, "delta": 1e-5}


RELATIONS = {
    REPLACE: dp_accounting.NeighboringRelation.REPLACE_ONE,
    ADD: dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE,
}


GOLDEN = [
    (0.1, 500, 2.222),
    (0.1, 1000, 3.150),
    (0.05, 1000, 1.584),
    (0.02, 2000, 0.961),
    (0.001, 20000, 0.466),
]


@pytest.mark.parametrize(("rate", "rounds", "noise"), GOLDEN)
def test_golden_noise_and_rounds(rate, rounds, noise):
    setting = {"target_epsilon": 10.0, "delta": 1e-5, "sampling_rate": rate, "accountant": "pld"}
    found = calibrate_noise(rounds=rounds, **setting)
    assert found == pytest.approx(noise, abs=6e-4)
    by_rdp = calibrate_noise(rounds=rounds, **{**setting, "accountant": "rdp"})
    assert found < by_rdp < 1.1 * found
    # Back again: as many rounds fit, give or take the calibration's tolerance.
    assert max_rounds(noise_multiplier=found, **setting) == pytest.approx(rounds, rel=1e-3)


@pytest.mark.parametrize("relation", [REPLACE, ADD])
@pytest.mark.parametrize(
    ("rate", "noise", "rounds"), [(0.1, 2.5, 300), (0.02, 1.0, 1000), (0.5, 8.0, 40), (1.0, 6.0, 9)]
)
def test_pld_agrees_with_dp_accounting_called_directly(relation, rate, noise, rounds):
    accountant = PLDAccountant(RELATIONS[relation], value_discretization_interval=5e-4)
    event = dp_accounting.GaussianDpEvent(noise)
    if rate < 1:
        event = dp_accounting.PoissonSampledDpEvent(rate, event)
    accountant.compose(dp_accounting.SelfComposedDpEvent(event, rounds))
    ours = epsilon_spent(
        noise_multiplier=noise,
        sampling_rate=rate,
        rounds=rounds,
        delta=1e-5,
        relation=relation,
        accountant="pld",
    )
    assert ours == pytest.approx(accountant.get_epsilon(1e-5), rel=0.01)


def test_plain_events_are_in_units_of_their_sensitivity():
    # dp_accounting's plain Gaussian has sensitivity 2 under replace-one, ours 1: hence 2 * 1.5.
    accountant = PLDAccountant(RELATIONS[REPLACE], value_discretization_interval=5e-4)
    accountant.compose(dp_accounting.GaussianDpEvent(2 * 1.5), 4)
    accountant.compose(
        dp_accounting.PoissonSampledDpEvent(0.1, dp_accounting.GaussianDpEvent(2.0)), 100
    )
    events = [GaussianEvent("prior", 1.5, 4), SampledGaussianEvent("rounds", 2.0, 0.1, 100)]
    ours = epsilon_of_events(events, accountant="pld", **SETTING)
    assert ours == pytest.approx(accountant.get_epsilon(1e-5), rel=0.01)


def test_rounds_of_two_kinds_compose():
    accountant = PLDAccountant(RELATIONS[REPLACE], value_discretization_interval=5e-4)
    kinds = ((2.0, 0.1, 60), (3.0, 0.2, 30))
    for noise, rate, rounds in kinds:
        event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
        accountant.compose(event, rounds)
    events = [SampledGaussianEvent("rounds", *kind) for kind in kinds]
    ours = epsilon_of_events(events, accountant="pld", **SETTING)
    assert ours == pytest.approx(accountant.get_epsilon(1e-5), rel=0.01)


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_gaussians_compose_into_one(accountant):
    many = [GaussianEvent("a", 2.0), GaussianEvent("b", 3.0, 5), GaussianEvent("c", 7.0)]
    one = GaussianEvent("all", (1 / 4 + 5 / 9 + 1 / 49) ** -0.5)
    for relation in (REPLACE, ADD):
        setting = {"delta": 1e-6, "relation": relation, "accountant": accountant}
        assert epsilon_of_events(many, **setting) == pytest.approx(
            epsilon_of_events([one], **setting), rel=1e-9
        )


def test_exact_gaussian_epsilon_meets_its_delta():
    # Balle & Wang (2018), theorem 8, written out.
    noise, delta = 1.7, 1e-5
    epsilon = epsilon_of_events(
        [GaussianEvent("x", noise)], delta=delta, relation=REPLACE, accountant="pld"
    )

    def phi(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    a, b = 1 / (2 * noise), epsilon * noise
    reached = phi(a - b) - math.exp(epsilon) * phi(-a - b)
    assert delta * (1 - 1e-6) < reached <= delta


@pytest.mark.parametrize("delta", [1e-3, 1e-8, 1e-10, 1e-12, 1e-13])
def test_pld_stays_an_upper_bound_at_tiny_delta(delta):
    # With q nearly 1 the composition is one Gaussian, known exactly; plain dp_accounting falls
    # below it from 1e-12 down through FFT rounding.
    noise, rounds = 600.0, 20000
    almost = SampledGaussianEvent("x", noise, 1 - 1e-12, rounds)
    exact = GaussianEvent("x", noise / 2, rounds)
    setting = {"delta": delta, "relation": REPLACE, "accountant": "pld"}
    assert (
        epsilon_of_events([almost], **setting) >= epsilon_of_events([exact], **setting) * 0.999999
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rate=st.floats(1e-3, 1.0),
    log_noise=st.floats(math.log(0.45), math.log(20)),
    rounds=st.integers(1, 2000),
    log_delta=st.floats(-18, -3),
    plain=st.none() | st.floats(0.8, 20),
)
def test_rdp_is_never_under_pld(rate, log_noise, rounds, log_delta, plain):
    events = [SampledGaussianEvent("r", math.exp(log_noise), rate, rounds)]
    events += [GaussianEvent("p", plain)] if plain else []
    setting = {"delta": math.exp(log_delta), "relation": REPLACE}
    by_rdp = epsilon_of_events(events, accountant="rdp", **setting)
    assert epsilon_of_events(events, accountant="pld", **setting) <= by_rdp * (1 + 1e-9)


ARGUMENTS = {
    "noise_multiplier": st.floats(math.log(0.5), math.log(20)).map(math.exp),
    "sampling_rate": st.floats(1e-3, 0.9),
    "rounds": st.integers(1, 3000),
    "delta": st.floats(-16, -4).map(math.exp),
}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(factor=st.floats(1.0, 2.0), accountant=st.sampled_from(["rdp", "rdp", "pld"]), **ARGUMENTS)
def test_epsilon_is_monotone_in_every_argument(factor, accountant, **arguments):
    setting = {**arguments, "accountant": accountant}
    epsilon = epsilon_spent(**setting)
    cheaper = {
        "noise_multiplier": arguments["noise_multiplier"] * factor,
        "sampling_rate": arguments["sampling_rate"] / factor,
        "rounds": max(1, int(arguments["rounds"] / factor)),
        "delta": arguments["delta"] * factor,
    }
    # The PLD's interval changes with the setting, and its discretization error with it.
    slack = 1e-9 if accountant == "rdp" else 2e-3
    for name, value in cheaper.items():
        assert epsilon_spent(**{**setting, name: value}) <= epsilon * (1 + slack) + 1e-6


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    target=st.floats(math.log(0.3), math.log(30)).map(math.exp),
    rate=st.floats(2e-3, 1.0),
    rounds=st.integers(1, 3000),
    share=st.none() | st.floats(0.05, 0.9),
    accountant=st.sampled_from(["rdp", "rdp", "pld"]),
)
def test_calibration_never_exceeds_and_nearly_spends_the_budget(
    target, rate, rounds, share, accountant
):
    budget = {
        "target_epsilon": target,
        "delta": 1e-5,
        "relation": REPLACE,
        "accountant": accountant,
    }
    others = ()
    if share:
        others = (GaussianEvent("prior", calibrate_gaussian(**budget) / math.sqrt(share)),)
    noise = calibrate_noise(sampling_rate=rate, rounds=rounds, other_events=others, **budget)
    # Charged the other way round: the order may not matter even in the last digit.
    spent = epsilon_of_events(
        [SampledGaussianEvent("rounds", noise, rate, rounds), *others],
        accountant=accountant,
        **SETTING,
    )
    assert 0.999 * target <= spent <= target
    fit = max_rounds(noise_multiplier=noise, sampling_rate=rate, other_events=others, **budget)
    assert fit >= rounds


def test_delta_is_kept_as_a_plain_float_whatever_number_was_given():
    setting = Setting("replace-one", np.float64(1e-5), "rdp")
    assert type(setting.delta) is float and setting.delta == 1e-5
