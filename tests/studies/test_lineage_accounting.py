"""The accounting study: each reading against an independent computation."""

from __future__ import annotations

import pandas as pd
import pytest

from companion.studies.lineage_accounting import (
    SETTINGS,
    accounting_study,
    claimed_epsilon,
    honest_noise,
    shared_draw_epsilon,
)
from dpgen_core.accounting import epsilon_spent

SMALL = {"num_discriminators": 100, "noise_multiplier": 4.0, "steps": 200, "batch": 8}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_published_figure_comes_out_at_the_published_settings(name: str) -> None:
    claimed = claimed_epsilon(**SETTINGS[name], delta=1e-5)  # type: ignore[arg-type]
    assert claimed == pytest.approx(10.0, abs=0.01) and claimed < 10


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    return accounting_study(**SMALL, delta=1e-5)  # type: ignore[arg-type]


def test_rows_are_what_they_say(study: pd.DataFrame) -> None:
    common = {"delta": 1e-5, "relation": "add-or-remove", "accountant": "pld"}
    independent = epsilon_spent(
        noise_multiplier=4.0,
        sampling_rate=0.01,
        rounds=1600,
        **common,  # type: ignore[arg-type]
    )
    shared = epsilon_spent(
        noise_multiplier=4.0 / 8**0.5,
        sampling_rate=0.01,
        rounds=200,
        **common,  # type: ignore[arg-type]
    )
    poisson = epsilon_spent(
        noise_multiplier=2 * 4.0 / 8**0.5,
        sampling_rate=0.01,
        rounds=200,
        delta=1e-5,
        accountant="pld",
    )
    assert study["pld"]["independent draws, tight accounting"] == pytest.approx(independent)
    assert study["pld"]["one shared draw per step"] == pytest.approx(shared)
    assert study["pld"]["the same under Poisson sampling"] == pytest.approx(poisson)
    again = shared_draw_epsilon(**SMALL, delta=1e-5)  # type: ignore[arg-type]
    assert shared == pytest.approx(again)


def test_the_second_gradient_costs_more_and_renyi_is_never_below(study: pd.DataFrame) -> None:
    both = study.dropna()
    assert (both["renyi"] >= both["pld"]).all()
    alone = study.loc["one shared draw per step"]
    assert (study.loc["one shared draw, classifier's gradient too"] > alone).all()


def test_honest_noise_spends_the_budget_and_no_more() -> None:
    sizes = {"num_discriminators": 100, "steps": 200, "batch": 8}
    sigma = honest_noise(**sizes, target_epsilon=3.0)
    spent = shared_draw_epsilon(noise_multiplier=sigma, delta=1e-5, **sizes)
    assert 2.99 < spent <= 3.0
