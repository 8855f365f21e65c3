"""Privacy accounting: events, a ledger that refuses to overspend, and calibration.

A release is an *event*: a plain `GaussianEvent`, or a `SampledGaussianEvent`, a round in which
owners join by hidden coins. Two accountants bound epsilon of a list of events: ``"rdp"`` by Renyi
curves (milliseconds, a few per cent loose), ``"pld"`` by privacy loss distributions (tight, up to
seconds).

    >>> setting = dict(sampling_rate=0.1, delta=1e-5)
    >>> round(epsilon_spent(noise_multiplier=2.5, rounds=500, **setting), 1)
    9.3
    >>> round(calibrate_noise(target_epsilon=10, rounds=500, **setting), 1)
    2.4
    >>> max_rounds(target_epsilon=10, noise_multiplier=2.5, **setting) // 50 * 50
    550

A round's noise multiplier is noise std over the *contribution bound* C, a plain release's is noise
std over its *sensitivity*. The relation of a round is one of contributions: under ``"replace-one"``
(a record of the owner's shard is replaced, added or removed) v becomes any v', which moves the sum
by up to 2 C; under ``"add-or-remove"`` the whole owner vanishes, and the sum moves by C.
"""

from dpgen_core.accounting.calibration import (
    MOST_ROUNDS,
    calibrate_gaussian,
    calibrate_noise,
    epsilon_spent,
    max_rounds,
    total_variation,
)
from dpgen_core.accounting.events import (
    ACCOUNTANTS,
    Accountant,
    BudgetExceeded,
    Event,
    GaussianEvent,
    SampledGaussianEvent,
    epsilon_of_events,
)
from dpgen_core.accounting.ledger import Ledger, bound_text
from dpgen_core.accounting.rdp import RELATIONS, Relation

__all__ = [
    "ACCOUNTANTS",
    "MOST_ROUNDS",
    "RELATIONS",
    "Accountant",
    "BudgetExceeded",
    "Event",
    "GaussianEvent",
    "Ledger",
    "Relation",
    "SampledGaussianEvent",
    "bound_text",
    "calibrate_gaussian",
    "calibrate_noise",
    "epsilon_of_events",
    "epsilon_spent",
    "max_rounds",
    "total_variation",
]
