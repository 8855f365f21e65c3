"""Privacy accounting: events, a ledger that refuses to overspend, and calibration.

A release is an *event*. `GaussianEvent` is a plain Gaussian mechanism; `SampledGaussianEvent` is a
round in which owners join by hidden coins. Its worst pair of outputs is derived, with the proof, in
`dpgen_core.accounting.rdp`. Two accountants bound epsilon of a list of events at a given delta:

* ``"rdp"``: Renyi curves, added and converted. Milliseconds; a few per cent loose.
* ``"pld"``: privacy loss distributions, composed numerically. Tight; up to seconds.

Epsilon from noise, noise from epsilon, and rounds from both:

    >>> setting = dict(sampling_rate=0.1, delta=1e-5)
    >>> round(epsilon_spent(noise_multiplier=2.5, rounds=500, **setting), 1)
    9.3
    >>> round(calibrate_noise(target_epsilon=10, rounds=500, **setting), 1)
    2.4
    >>> max_rounds(target_epsilon=10, noise_multiplier=2.5, **setting) // 50 * 50
    550

Noise multipliers are in two units. A round's is noise std over the *contribution bound* C of
clipping; how far neighbors move the sum is left to the accountant. A plain release's is noise std
over its *sensitivity* under the ledger's relation.

The relation of a round is one of contributions. Under ``"replace-one"`` an owner's contribution
changes from v to any v', which moves the sum by up to 2 C. Replacing a record of its shard does
that, and so does adding or removing one. Under ``"add-or-remove"`` the whole owner vanishes, and
the sum moves by C.
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
