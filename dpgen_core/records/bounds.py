"""Figures of a privacy statement, computed anew from the ledger of a ``privacy.json``.

No printed bound is below the computed one:

    >>> delta_text(1.23456789e-6), delta_text(tail_delta(2.0, numbers=1), 2)
    ('1.23457e-06', '2.2e-23')
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Context
from typing import Any

from scipy.special import ndtr, ndtri

from dpgen_core.accounting.events import ACCOUNTANTS, Accountant, epsilon_of_events
from dpgen_core.accounting.ledger import Ledger

Privacy = Mapping[str, Any]  # the content of a record's ``privacy.json``

DELTAS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
_USELESS = 20.0  # an epsilon above which a bound for a group is not worth printing
REACH = -float(ndtri(2.0**-107))  # largest number of `HiddenStream.normal`, 11.9


def epsilon_curve(privacy: Privacy, deltas: Sequence[float] = DELTAS) -> dict[float, float]:
    """Smallest proved epsilon at each delta in (0, 1), by the tighter of the two accountants."""
    return {delta: min(_epsilon(privacy, delta, a) for a in ("pld", "rdp")) for delta in deltas}


def group_epsilon(privacy: Privacy, size: int) -> float | None:
    """Epsilon for `size` records replaced together, at the record's delta; None: no useful bound.

    An (e, d) guarantee for one record gives (k e, d (1 + exp(e) + ... + exp((k - 1) e))) for k of
    them. d is the largest on a grid for which the latter stays within the record's delta.
    """
    single = float(privacy["delta"])
    while size * (epsilon := _epsilon(privacy, single, "rdp")) <= _USELESS:
        if single * sum(math.exp(i * epsilon) for i in range(size)) <= privacy["delta"]:
            return size * epsilon_curve(privacy, [single])[single]
        single /= 2
    return None


def epsilon_of_group(ledger: Mapping[str, Any], delta: float, size: int) -> float:
    """Epsilon for up to `size` records replaced together, of a ledger of `Ledger.to_dict`.

    By the accounting of groups of `accounting.events.Setting`, which proves more than `group_epsilon`.
    """
    kept = Ledger.from_dict(ledger)
    asked: dict[str, Any] = {"delta": delta, "relation": kept.settings()["relation"]}
    both = (
        epsilon_of_events(kept.events, **asked, group_size=size, accountant=name)
        for name in ACCOUNTANTS
    )
    return min(both)


def tail_delta(shift: float, numbers: int) -> float:
    """What the noise's cut tails add to delta in one Gaussian release, from above.

    Numbers of `HiddenStream.normal` end at r = 11.9 standard deviations. Outputs that one data set
    reaches and its neighbor cannot are covered by no epsilon; with one number shifted by x their
    probability is f(x) = Phi(x - r). As (f(x) - f(0) - x f'(0)) / x^2 rises up to x = r - 1, the
    `numbers` n >= 1 of a release whose `shift` s >= 0 is Euclidean, in units of the noise std, add
    f(s) + (n - 1) f(0) + (sqrt(n) - 1) s f'(0) at most; above s = r - 1 the answer is 1. Ours.
    """
    if shift > REACH - 1:
        return 1.0
    slope = math.exp(-(REACH**2) / 2) / math.sqrt(2 * math.pi)  # f'(0)
    spread = (numbers - 1) * ndtr(-REACH) + (math.sqrt(numbers) - 1) * shift * slope
    return min(1.0, float(ndtr(shift - REACH) + spread))


def delta_text(value: float, digits: int = 6) -> str:
    """A delta as text with so many significant digits, rounded up: what is printed bounds it."""
    upward = Context(prec=digits, rounding=ROUND_CEILING)
    return f"{float(upward.create_decimal(repr(float(value)))):.{digits}g}"


def _epsilon(privacy: Privacy, delta: float, accountant: Accountant) -> float:
    ledger = Ledger.from_dict(privacy["ledger"])
    asked = {name: ledger.settings()[name] for name in ("relation", "group_size")}
    return epsilon_of_events(ledger.events, delta=delta, accountant=accountant, **asked)
