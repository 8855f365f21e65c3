"""The audit of the worst case: exact laws, valid bounds, and both verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from companion.studies.lineage_accounting import SETTINGS
from companion.studies.worst_case import (
    StepPair,
    audit_steps,
    hockey_stick,
    lineage_step,
    lower_bound,
    our_step,
    privacy_losses,
)
from dpgen_core.accounting import calibrate_noise
from dpgen_core.checks import InvalidArgument


def test_bins_hold_the_whole_mixture() -> None:
    pair = our_step(sampling_rate=0.3, noise_multiplier=1.5)
    p, q = pair.probabilities(40)
    assert p.sum() == pytest.approx(1.0, abs=1e-12) and q.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(p, q[::-1], rtol=1e-9)  # the pair is symmetric
    assert p.min() > 0


def test_one_gaussian_step_has_the_textbook_losses() -> None:
    """Plain N(1, s) against N(0, s): the loss is normal with mean and half variance 1 / (2 s^2)."""
    pair = StepPair("plain", ((1.0, 1.0),), ((1.0, 0.0),), 2.0)
    losses_p, losses_q = privacy_losses(pair, 8, 40_000, 200, np.random.default_rng(0))
    assert losses_p.mean() == pytest.approx(1.0, rel=0.05)
    assert losses_q.mean() == pytest.approx(-1.0, rel=0.05)
    assert losses_p.var() == pytest.approx(2.0, rel=0.05)


def test_hockey_stick_bound_covers_the_exact_delta() -> None:
    losses = np.random.default_rng(1).normal(0.5, 1.0, 200_000)  # mu = 1
    coins = np.random.default_rng(2).random(200_000)
    for epsilon in (0.0, 1.0, 2.0):
        exact = norm.cdf(0.5 - epsilon) - np.exp(epsilon) * norm.cdf(-0.5 - epsilon)
        assert 0.85 * exact < hockey_stick(losses, epsilon, coins, 0.999) < exact


def test_clopper_pearson_by_its_definition() -> None:
    bound = lower_bound(7, 50, 0.99)
    from scipy.stats import binom

    assert binom.sf(6, 50, bound) == pytest.approx(0.01, rel=1e-3)
    assert lower_bound(0, 50, 0.99) == 0.0


def ours(noise_factor: float = 1.0, trials: int = 200_000) -> object:
    noise = calibrate_noise(
        target_epsilon=4.0, delta=1e-3, sampling_rate=0.1, rounds=100, accountant="pld"
    )
    pair = our_step(sampling_rate=0.1, noise_multiplier=noise_factor * noise)
    return audit_steps(pair, rounds=100, claimed_epsilon=4.0, delta=1e-3, trials=trials)


def test_our_mechanism_is_not_rejected_and_the_bound_is_near() -> None:
    audit = ours()
    assert not audit.violated  # type: ignore[attr-defined]
    assert 3.4 < audit.epsilon <= 4.0  # type: ignore[attr-defined]
    assert audit.delta_at_claim <= 1e-3  # type: ignore[attr-defined]


@pytest.mark.parametrize("factor", [0.5, 0.8])
def test_too_little_noise_is_rejected(factor: float) -> None:
    audit = ours(factor)
    assert audit.violated and audit.epsilon > 4.0  # type: ignore[attr-defined]


def test_the_lineages_claim_is_rejected_at_its_own_settings() -> None:
    settings = SETTINGS["MNIST"]
    pair = lineage_step(
        num_discriminators=int(settings["num_discriminators"]),
        noise_multiplier=settings["noise_multiplier"],
        batch=int(settings["batch"]),
    )
    assert pair.noise == pytest.approx(1.07 / 32**0.5)
    audit = audit_steps(
        pair, rounds=int(settings["steps"]), claimed_epsilon=9.99, delta=1e-5, trials=50_000
    )
    assert audit.violated and audit.delta_at_claim > 0.99 and audit.epsilon > 100


def test_independent_draws_would_not_be_rejected() -> None:
    """What the published analysis assumes stays within its claim: no false alarm."""
    settings = SETTINGS["MNIST"]
    pair = lineage_step(
        num_discriminators=int(settings["num_discriminators"]),
        noise_multiplier=settings["noise_multiplier"],
        batch=1,
    )
    rounds = int(settings["steps"]) * int(settings["batch"])
    audit = audit_steps(pair, rounds=rounds, claimed_epsilon=9.99, delta=1e-5, trials=50_000)
    assert not audit.violated and audit.epsilon > 1.0


@pytest.mark.parametrize(
    "change", [{"rounds": 0}, {"trials": 10}, {"bins": 2}, {"confidence": 0.3}, {"delta": 1.0}]
)
def test_bad_values_are_named(change: dict[str, float]) -> None:
    pair = our_step(sampling_rate=0.1, noise_multiplier=1.0)
    values = {"rounds": 10, "claimed_epsilon": 1.0, "delta": 1e-5} | change
    with pytest.raises(InvalidArgument, match=next(iter(change))):
        audit_steps(pair, **values)  # type: ignore[arg-type]
