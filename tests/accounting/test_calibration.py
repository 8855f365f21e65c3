"""Searches over the accountants: the answer is the best that fits, by the accountant asked for."""

from __future__ import annotations

import json
from dataclasses import asdict
from decimal import Decimal, localcontext

import numpy as np
import pytest

from dpgen_core.accounting import (
    BudgetExceeded,
    GaussianEvent,
    Ledger,
    SampledGaussianEvent,
    calibrate_gaussian,
    calibrate_noise,
    epsilon_of_events,
    epsilon_spent,
    max_rounds,
)
from dpgen_core.accounting.pld import _width

ACCOUNTANTS = ("rdp", "pld")
RELATIONS = ("replace-one", "add-or-remove")
SETTING = {"delta": 1e-5, "relation": "replace-one"}


@pytest.mark.parametrize("accountant", ACCOUNTANTS)
def test_one_release_spends_its_budget_by_the_accountant_asked_for(accountant: str) -> None:
    setting = SETTING | {"accountant": accountant}
    noise = calibrate_gaussian(target_epsilon=1.0, **setting)
    spent = epsilon_of_events([GaussianEvent("one", noise)], **setting)
    assert 0.999 < spent <= 1.0


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("accountant", ACCOUNTANTS)
def test_one_more_round_would_not_fit(accountant: str, relation: str) -> None:
    setting = {
        "noise_multiplier": 3.0,
        "sampling_rate": 0.1,
        "delta": 1e-5,
        "relation": relation,
        "accountant": accountant,
    }
    rounds = max_rounds(target_epsilon=2.0, **setting)
    assert epsilon_spent(rounds=rounds, **setting) <= 2.0
    assert epsilon_spent(rounds=rounds + 1, **setting) > 2.0


def test_accountants_and_relations_give_four_different_answers() -> None:
    setting = {"noise_multiplier": 3.0, "sampling_rate": 0.1, "delta": 1e-5, "rounds": 100}
    spent = {
        epsilon_spent(relation=relation, accountant=accountant, **setting)
        for relation in RELATIONS
        for accountant in ACCOUNTANTS
    }
    assert len(spent) == 4


@pytest.mark.parametrize("accountant", ACCOUNTANTS)
def test_every_kind_of_release_counts_against_the_budget(accountant: str) -> None:
    """The last event is weighed beside *all* that came before, and each kind anew."""
    ledger = Ledger(target_epsilon=1.8, accountant=accountant, **SETTING)
    rounds = SampledGaussianEvent("rounds", 8.0, 0.5, 5)
    assert epsilon_of_events([rounds], accountant=accountant, **SETTING) < 1.8
    ledger.charge(GaussianEvent("light", 50.0))
    ledger.charge(GaussianEvent("heavy", 2.4))
    with pytest.raises(BudgetExceeded):
        ledger.charge(rounds)
    ledger.charge(SampledGaussianEvent("rounds", 90.0, 0.5, 1))
    with pytest.raises(BudgetExceeded):
        ledger.charge(GaussianEvent("again", 2.4))
    assert ledger.epsilon() <= 1.8


@pytest.mark.parametrize(("noise", "rate"), [(0.02, 0.5), (0.5, 0.3), (2.0, 0.01), (40.0, 0.9)])
def test_grid_of_losses_spans_ten_standard_deviations(noise: float, rate: float) -> None:
    """Loss of N(+1) against N(0) at ten standard deviations beyond 1, alone and in the mixture."""
    at = 1 + 10 * noise
    alone = (2 * at + 1 - 0) / (2 * noise**2)  # a little beyond (2 at - 1) / (2 s^2)
    assert _width(noise) == pytest.approx(2 * alone, rel=1e-12)
    with localcontext() as context:
        context.prec = 50
        q = Decimal(rate)
        up = (1 - q + q * Decimal(alone).exp()).ln()
        down = min(Decimal(alone), -(1 - q).ln())
    assert _width(noise, rate) == pytest.approx(float(2 * (up + down)), rel=1e-9)


def test_nothing_released_costs_nothing_by_pld() -> None:
    assert epsilon_of_events([], accountant="pld", **SETTING) == 0.0


@pytest.mark.parametrize("accountant", ACCOUNTANTS)
def test_what_the_others_spend_depends_on_the_relation(accountant: str) -> None:
    """Others that fit under one relation only are refused under the other only."""
    others = [SampledGaussianEvent("earlier", 4.0, 0.1, 100)]
    setting = {"delta": 1e-5, "accountant": accountant}
    most, least = (
        epsilon_of_events(others, relation=relation, **setting) for relation in RELATIONS
    )
    assert least < most
    between = {"target_epsilon": (least + most) / 2, "other_events": others} | setting
    for search in (
        lambda relation: max_rounds(
            noise_multiplier=4.0, sampling_rate=0.1, relation=relation, **between
        ),
        lambda relation: calibrate_noise(sampling_rate=0.1, rounds=3, relation=relation, **between),
    ):
        assert search("add-or-remove") > 0
        with pytest.raises(BudgetExceeded, match="earlier"):
            search("replace-one")


def test_a_boundless_budget_needs_next_to_no_noise() -> None:
    assert calibrate_gaussian(target_epsilon=1e15, accountant="rdp", **SETTING) <= 2e-6


def test_events_hold_plain_numbers_whatever_they_were_given() -> None:
    """A ledger is written as JSON, which knows no numpy."""
    event = SampledGaussianEvent("x", np.float32(2), np.float32(0.5), np.int64(3))
    assert json.loads(json.dumps(asdict(event))) == asdict(event)
    plain = GaussianEvent("y", np.float32(2), np.int32(4))
    assert [type(value) for value in asdict(plain).values()] == [str, float, int]
