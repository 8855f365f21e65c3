"""The Renyi curve: against high-precision integrals, Opacus, closed forms, and the 2-d plane."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import norm

from dpgen_core.accounting import rdp
from dpgen_core.accounting.rdp import (
    ORDERS,
    gaussian_rdp,
    rdp_to_epsilon,
    sampled_gaussian_rdp,
)
from dpgen_core.checks import InvalidArgument

REPLACE, ADD = "replace-one", "add-or-remove"


def _reference(rate: float, noise: float, alpha: float, relation: str) -> float:
    """The divergence with 40 digits, Gauss-Legendre on panels; shares no code with the core."""
    with mpmath.workdps(40):
        q, s, a = mpmath.mpf(rate), mpmath.mpf(noise), mpmath.mpf(alpha)

        def mixture(x: mpmath.mpf, mean: int) -> mpmath.mpf:
            return (1 - q) * mpmath.npdf(x, 0, s) + q * mpmath.npdf(x, mean, s)

        def integrand(x: mpmath.mpf) -> mpmath.mpf:
            lower = mixture(x, -1) if relation == REPLACE else mpmath.npdf(x, 0, s)
            return mixture(x, 1) ** a * lower ** (1 - a)

        panels = mpmath.linspace(-12 * s, 2 * a - 1 + 12 * s, 41)
        return float(mpmath.log(mpmath.quad(integrand, panels, maxdegree=6)) / (a - 1))


@pytest.mark.parametrize(
    ("rate", "noise", "alpha"),
    [
        (0.1, 2.222, 2.5),
        (0.001, 0.466, 3.3),
        (0.02, 0.3, 1.1),
        (0.5, 1.0, 16.0),
        (0.9, 0.5, 7.25),
        (0.001, 2.0, 1.5),
        (0.1, 50.0, 512.0),
        (0.3, 0.15, 1.37),
    ],
)
def test_replace_one_curve_equals_a_high_precision_integral_from_above(rate, noise, alpha):
    exact = _reference(rate, noise, alpha, REPLACE)
    ours = float(sampled_gaussian_rdp(noise, rate, orders=alpha))
    assert exact <= ours <= exact * (1 + 1e-6)


@pytest.mark.parametrize(
    ("rate", "noise", "alpha"), [(0.1, 2.2, 2.5), (0.01, 0.8, 8.0), (0.3, 1.5, 1.3)]
)
def test_add_or_remove_curve_equals_a_high_precision_integral(rate, noise, alpha):
    exact = _reference(rate, noise, alpha, ADD)
    ours = float(sampled_gaussian_rdp(noise, rate, ADD, orders=alpha))
    assert exact <= ours <= exact * (1 + 1e-6)


@pytest.mark.parametrize(("rate", "noise", "rounds"), [(0.01, 1.1, 5000), (0.1, 3.0, 500)])
def test_add_or_remove_epsilon_equals_opacus(rate, noise, rounds):
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise, rate, rounds)]
    theirs = accountant.get_epsilon(1e-5, alphas=ORDERS[(ORDERS > 1.1) & (ORDERS < 1000)])
    ours = rdp_to_epsilon(rounds * sampled_gaussian_rdp(noise, rate, ADD), 1e-5)
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_full_sampling_is_the_closed_form():
    orders = np.array([1.5, 2.0, 33.0])
    np.testing.assert_allclose(sampled_gaussian_rdp(3.0, 1.0, orders=orders), orders * 4 / 18)
    np.testing.assert_allclose(sampled_gaussian_rdp(3.0, 1.0, ADD, orders=orders), orders / 18)
    np.testing.assert_allclose(gaussian_rdp(3.0, orders), orders / 18)
    # The quadrature itself tends to it.
    near = sampled_gaussian_rdp(3.0, 1 - 1e-9, orders=orders)
    np.testing.assert_allclose(near, orders * 4 / 18, rtol=1e-6)


def test_no_convergence_is_infinity_not_a_small_number(monkeypatch):
    assert np.isinf(sampled_gaussian_rdp(1e-3, 0.5, orders=[1.5, 2.0, 64.0])).all()
    assert rdp_to_epsilon(sampled_gaussian_rdp(1e-3, 0.5), 1e-5) == math.inf
    finite = sampled_gaussian_rdp(1.0, 0.1, orders=[2.0, 8.0, 16.0])
    assert np.isfinite(finite).all()
    monkeypatch.setattr(rdp, "_MAX_POINTS", 64)  # too few for orders 8 and 16
    starved = sampled_gaussian_rdp(1.0, 0.1, orders=[2.0, 8.0, 16.0])
    assert np.isinf(starved[1:]).all()
    assert np.all(starved >= finite)


def test_a_rule_too_coarse_for_the_peaks_is_noticed(monkeypatch):
    # Plant the fault: stretch the first step twelve-fold, so that neighbors straddle the peaks.
    honest = sampled_gaussian_rdp(0.5, 0.2, orders=[4.0, 20.0])
    monkeypatch.setattr(rdp.math, "ceil", lambda value: max(2, int(value / 12)))
    coarse = sampled_gaussian_rdp(0.5, 0.2, orders=[4.0, 20.0])
    np.testing.assert_allclose(coarse, honest, rtol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rate=st.floats(1e-4, 0.999),
    log_noise=st.floats(math.log(0.2), math.log(100)),
    factor=st.floats(1.01, 3),
)
def test_curve_is_monotone_in_order_noise_and_rate(rate, log_noise, factor):
    noise = math.exp(log_noise)
    curve = sampled_gaussian_rdp(noise, rate, orders=ORDERS[::6])
    finite = np.isfinite(curve)
    assert not np.isnan(curve).any()
    slack = 1e-6
    assert np.all(np.diff(curve[finite]) >= -slack * curve[finite][1:] - 1e-10)
    quieter = sampled_gaussian_rdp(noise * factor, rate, orders=ORDERS[::6])
    rarer = sampled_gaussian_rdp(noise, rate / factor, orders=ORDERS[::6])
    for other in (quieter[finite], rarer[finite]):
        both = np.isfinite(other)
        assert np.all(other[both] <= curve[finite][both] * (1 + slack) + 1e-10)


def _hockey_stick_1d(rate: float, noise: float, gamma: float) -> float:
    """sup_S [P(S) - gamma Q(S)] of the antipodal pair on the line, by numerical integration."""
    x, step = np.linspace(-1 - 9 * noise, 1 + 9 * noise, 40001, retstep=True)
    middle = (1 - rate) * norm.pdf(x, 0, noise)
    upper = middle + rate * norm.pdf(x, 1, noise)
    lower = middle + rate * norm.pdf(x, -1, noise)
    return float(np.maximum(upper - gamma * lower, 0).sum() * step)


def _hockey_stick_2d(v, w, rate: float, noise: float, gamma: float) -> float:
    """The same for components at v and w in the plane, each (2,)."""
    reach = 1.3 + 7 * noise
    axis, step = np.linspace(-reach, reach, 501, retstep=True)

    def bell(center):
        along = [norm.pdf(axis, c, noise) for c in center]
        return along[0][:, None] * along[1][None, :]  # (501, 501)

    middle = (1 - rate) * bell((0.0, 0.0))
    excess = middle + rate * bell(v) - gamma * (middle + rate * bell(w))
    return float(np.maximum(excess, 0).sum() * step**2)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.8, 1.0, 1.3, 3.0, 20.0])
def test_no_directions_in_the_plane_beat_the_antipodal_pair(gamma):
    rng = np.random.default_rng(int(10 * gamma))
    for _ in range(12):
        rate, noise = rng.uniform(0.05, 1.0), math.exp(rng.uniform(math.log(0.3), math.log(2)))
        bound = _hockey_stick_1d(rate, noise, gamma)
        angles = rng.uniform(0, 2 * math.pi, 2)
        radii = rng.choice([1.0, rng.uniform(0, 1)], 2)
        v, w = (
            r * np.array([math.cos(a), math.sin(a)]) for r, a in zip(radii, angles, strict=True)
        )
        assert _hockey_stick_2d(v, w, rate, noise, gamma) <= bound + 2e-5


def test_the_comparison_in_the_plane_can_fail():
    # Antipodal vectors attain the bound in any direction; vectors longer than C pass it.
    rate, noise = 0.4, 0.7
    direction = np.array([math.cos(0.6), math.sin(0.6)])
    for gamma in (0.5, 1.0, 3.0):
        bound = _hockey_stick_1d(rate, noise, gamma)
        attained = _hockey_stick_2d(direction, -direction, rate, noise, gamma)
        assert attained == pytest.approx(bound, abs=2e-5)
        beaten = _hockey_stick_2d(1.2 * direction, -1.2 * direction, rate, noise, gamma)
        assert beaten > bound + 1e-3


def test_conversion_by_hand():
    # alpha = 2, rdp = 1, delta = 0.1: 1 + log(1/2) - log(0.1) - log(2).
    assert rdp_to_epsilon([1.0], 0.1, [2.0]) == pytest.approx(1 + math.log(10 / 4))
    assert rdp_to_epsilon([1.0, math.inf], 0.1, [2.0, 3.0]) == pytest.approx(1 + math.log(10 / 4))
    assert rdp_to_epsilon([0.0], 0.9, [2.0]) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: sampled_gaussian_rdp(0.0, 0.1),
        lambda: sampled_gaussian_rdp(1.0, 0.0),
        lambda: sampled_gaussian_rdp(1.0, 1.1),
        lambda: sampled_gaussian_rdp(1.0, 0.1, "swap"),  # type: ignore[arg-type]
        lambda: sampled_gaussian_rdp(1.0, 0.1, orders=[1.0]),
        lambda: gaussian_rdp(math.nan),
        lambda: rdp_to_epsilon([math.nan], 1e-5, [2.0]),
        lambda: rdp_to_epsilon([1.0, 2.0], 1e-5, [2.0]),
        lambda: rdp_to_epsilon([1.0], 1.0, [2.0]),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(InvalidArgument):
        call()


def test_the_orders_are_the_documented_ones() -> None:
    fresh = rdp._default_orders()
    assert np.array_equal(fresh, rdp.ORDERS)
    assert (fresh[0], fresh[-1], len(fresh)) == (1.01, 16385.0, 127)
    excess = fresh - 1
    assert excess[1:60] / excess[:59] == pytest.approx((16384 / 0.01) ** (1 / 126), rel=1e-9)
    large = fresh[fresh >= 12]
    assert np.array_equal(large, np.round(large)) and len(large) == 65
    small = fresh[fresh < 12]
    assert not np.any(small == np.round(small))
    with pytest.raises(ValueError, match="read-only"):
        rdp.ORDERS[0] = 2.0


def test_gaussian_curve_by_hand() -> None:
    assert rdp.gaussian_rdp(2.0, [2.0, 8.0]).tolist() == [0.25, 1.0]
    assert np.array_equal(rdp.gaussian_rdp(2.0), rdp.ORDERS / 8)
