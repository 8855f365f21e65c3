"""Renyi divergence of the sampled Gaussian mechanism, and what it says about (epsilon, delta).

**Theorem** (ours; proof in `book/privacy.md`). Let P = (1 - q) N(0, s^2 I) + q N(v, s^2 I) and Q
the same with v', both v and v' of norm at most 1. For every gamma >= 0, sup_S [P(S) - gamma Q(S)]
is at most that of the one-dimensional antipodal pair v = +1, v' = -1. Hence T rounds under
replace-one cost at most T times that pair's Renyi curve. For a group of m contributors of whom a
binomial number j joins, the pair is the mixture of N(+j, s^2) against that of N(-j, s^2).

Its E_Q[(P/Q)^alpha] is the integral of an analytic function on the line, on which the trapezoidal
rule converges exponentially fast. Steps h and h / 2 are compared, the tails are bounded, difference
and rounding error are added, and an order that does not converge counts as infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpgen_core.checks import check_choice, check_int, check_real, require

# One owner's contribution becomes another (any change of its records), or its whole contribution
# vanishes.
Relation = Literal["replace-one", "add-or-remove"]
RELATIONS: tuple[Relation, ...] = ("replace-one", "add-or-remove")

Floats = NDArray[np.float64]

_REACH = 9.0  # standard deviations kept beyond the outermost peak
LARGEST_GROUP = 1000
_MAX_POINTS = 1 << 15  # per order; an order that needs more counts as infinity


def _default_orders() -> Floats:
    """Orders alpha with alpha - 1 from 0.01 to 16384, 12 % apart; whole numbers from 12 on."""
    excess = np.geomspace(0.01, 16384, 127)
    return np.unique(np.where(excess < 11, 1 + excess, np.round(1 + excess)))


ORDERS: Floats = _default_orders()
ORDERS.setflags(write=False)


def _log_integrand(
    x: Floats, alpha: float, rate: float, noise: float, group_size: int
) -> tuple[Floats, Callable[[int], float]]:
    """Log of N(0, s^2)(x) (P/N)^alpha (Q/N)^(1-alpha), (n,), and the size of its terms at a place."""
    stay, join = math.log1p(-rate), math.log(rate)
    up = down = np.full_like(x, group_size * stay)  # nobody of the group joins
    for j in range(1, group_size + 1):
        chance = math.log(math.comb(group_size, j)) + j * join + (group_size - j) * stay
        up = np.logaddexp(up, chance + j * (2 * x - j) / (2 * noise**2))
        down = np.logaddexp(down, chance - j * (2 * x + j) / (2 * noise**2))
    bell = (x / noise) ** 2 / 2
    log_f = alpha * up - (alpha - 1) * down - bell - math.log(noise * math.sqrt(2 * math.pi))

    def size(place: int) -> float:
        return float(alpha * abs(up[place]) + (alpha - 1) * abs(down[place]) + bell[place])

    return log_f, size


def _log_moment(alpha: float, rate: float, noise: float, group_size: int = 1) -> float:
    """Upper bound on log E_Q[(P/Q)^alpha] for the antipodal pair; infinity where not converged."""
    # With m = `group_size`, d/dx log f >= -x / s^2 left of 0 and <= (m (2 alpha - 1) - x) / s^2
    # right of m (2 alpha - 1), as the logs of P/N and Q/N have slopes in [0, m / s^2] and its
    # negative: beyond [low, high] the integrand falls off at least like a Gaussian, and its tails
    # can be bounded.
    low, high = -_REACH * noise, group_size * (2 * alpha - 1) + _REACH * noise
    # (log f)'' >= -1 / width^2 everywhere, as a number in [0, m] has a variance of m^2 / 4 at most:
    # no peak is narrower than a Gaussian of std width, for which the trapezoidal rule at 0.75 width
    # is already exact to 1e-15. No step can miss a peak.
    width = 1 / math.sqrt(noise**-2 + (alpha - 1) * group_size**2 / (4 * noise**4))
    intervals = 2 * math.ceil((high - low) / (0.75 * width))  # of the finer rule, step h / 2
    while intervals <= _MAX_POINTS:
        x, fine = np.linspace(low, high, intervals + 1, retstep=True)  # (n,)
        log_f, size = _log_integrand(x, alpha, rate, noise, group_size)
        peak = int(np.argmax(log_f))
        top = float(log_f[peak])
        weights = np.exp(log_f - top)
        whole = math.log(weights.sum() * float(fine)) + top
        coarse = math.log(weights[::2].sum() * 2 * float(fine)) + top
        error = abs(whole - coarse)
        if error <= 1e-13 + 1e-8 * abs(whole):
            tails = np.logaddexp(log_f[0], log_f[-1]) + math.log(noise / _REACH)
            rounding = 1e-15 * (4 + size(peak))
            return max(0.0, float(np.logaddexp(whole, tails))) + error + rounding
        intervals *= 2
    return math.inf


def _add_or_remove_rdp(alpha: float, rate: float, noise: float) -> float:
    """Opacus's figure for (1-q) N(0, s^2) + q N(1, s^2) over N(0, s^2); infinity if it fails."""
    from opacus.accountants.analysis.rdp import compute_rdp  # slow to import, seldom needed

    if alpha > 1024:  # its binomial coefficients overflow
        return math.inf
    try:
        rdp = float(compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=float(alpha)))
    except (ValueError, OverflowError):  # cancellation in its alternating series
        return math.inf
    # The margin covers the terms below 1e-13 at which its series stops.
    return math.inf if math.isnan(rdp) else max(rdp, 0.0) + 1e-12 / (alpha - 1)


def gaussian_rdp(noise_multiplier: float, orders: ArrayLike = ORDERS) -> Floats:
    """Curve of the Gaussian mechanism: alpha / (2 m^2) (Mironov 2017, proposition 7).

    Here m = `noise_multiplier` > 0 is noise std over the L2 sensitivity; every order alpha > 1.
    """
    check_real("noise_multiplier", noise_multiplier, low=0, low_open=True, fix="noise_multiplier=1")
    return _check_orders(orders) / (2 * noise_multiplier**2)


def sampled_gaussian_rdp(
    noise_multiplier: float,
    sampling_rate: float,
    relation: Relation = "replace-one",
    orders: ArrayLike = ORDERS,
    *,
    group_size: int = 1,
) -> Floats:
    """Upper bound on the curve of one round of the Poisson-sampled Gaussian mechanism.

    s = `noise_multiplier` > 0 is noise std over the contribution bound C, q = `sampling_rate` is in
    (0, 1], and every order alpha > 1. "replace-one" is by quadrature of the antipodal pair (ours),
    "add-or-remove" by Opacus (Mironov, Talwar & Zhang 2019). Infinity where it did not converge.
    For q = 1 the sum moves by up to 2 C or C: 2 alpha / s^2 or alpha / (2 s^2). Of a `group_size` >= 1
    of contributors, "replace-one" only, each joins by a coin of its own.

    >>> sampled_gaussian_rdp(2.0, 1.0, orders=[2.0, 8.0]).tolist()
    [1.0, 4.0]
    >>> bool(sampled_gaussian_rdp(2.0, 0.1, orders=2.0) < 0.02)
    True
    """
    check_real("noise_multiplier", noise_multiplier, low=0, low_open=True, fix="noise_multiplier=1")
    check_rate(sampling_rate)
    check_choice("relation", relation, RELATIONS)
    check_group(group_size, relation)
    alphas = _check_orders(orders)
    noise, rate = float(noise_multiplier), float(sampling_rate)
    if rate == 1.0:
        reach = 2 * group_size if relation == "replace-one" else 1
        return gaussian_rdp(noise / reach, alphas)
    if relation == "replace-one":
        moments = (_log_moment(a, rate, noise, group_size) for a in alphas.ravel().tolist())
        values = [m / (a - 1) for m, a in zip(moments, alphas.ravel().tolist(), strict=True)]
    else:
        values = [_add_or_remove_rdp(a, rate, noise) for a in alphas.ravel().tolist()]
    return np.array(values, dtype=np.float64).reshape(alphas.shape)


@lru_cache(maxsize=256)
def cached_curve(
    noise_multiplier: float, sampling_rate: float, relation: Relation, group_size: int = 1
) -> Floats:
    """`sampled_gaussian_rdp` at the default `ORDERS`, computed once per setting; read-only."""
    curve = sampled_gaussian_rdp(noise_multiplier, sampling_rate, relation, group_size=group_size)
    curve.setflags(write=False)
    return curve


def rdp_to_epsilon(rdp: ArrayLike, delta: float, orders: ArrayLike = ORDERS) -> float:
    """Smallest epsilon that a Renyi curve `rdp` (n,) proves at `delta`, over `orders` (n,).

    By each order, rdp + log(1 - 1/alpha) - (log delta + log alpha) / (alpha - 1) (Canonne, Kamath &
    Steinke 2020, proposition 12; Balle et al. 2020, theorem 21); never below 0.
    """
    check_delta(delta)
    alphas, curve = _check_orders(orders), np.asarray(rdp, dtype=np.float64)
    same = curve.shape == alphas.shape
    require(same, "rdp", curve.shape, "one value per order", "the same orders")
    require(not np.isnan(curve).any(), "rdp", "NaN", "a number at every order", "infinity instead")
    epsilon = curve + np.log1p(-1 / alphas) - (math.log(delta) + np.log(alphas)) / (alphas - 1)
    return max(0.0, float(epsilon.min()))


def check_rate(sampling_rate: float) -> None:
    """Require sampling_rate in (0, 1]."""
    fix = "sampling_rate=0.1"
    check_real("sampling_rate", sampling_rate, low=0, high=1, low_open=True, fix=fix)


def check_group(group_size: int, relation: Relation) -> None:
    """Require a whole group_size from 1 to `LARGEST_GROUP`, and 1 under "add-or-remove"."""
    most = LARGEST_GROUP if relation == "replace-one" else 1
    check_int("group_size", group_size, low=1, high=most, fix="group_size=1")


def check_delta(delta: float) -> None:
    """Require delta in (0, 1)."""
    check_real("delta", delta, low=0, high=1, low_open=True, high_open=True, fix="delta=1e-5")


def _check_orders(orders: ArrayLike) -> Floats:
    alphas = np.asarray(orders, dtype=np.float64)
    good = alphas.size > 0 and bool(np.all(np.isfinite(alphas) & (alphas > 1)))
    require(good, "orders", orders, "finite numbers > 1", "orders=[2, 4, 8]")
    return alphas
