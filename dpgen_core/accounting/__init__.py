"""Privacy accounting: events, a ledger that refuses to overspend, and calibration.

A release is an *event*. `GaussianEvent` is a plain Gaussian mechanism; `SampledGaussianEvent` is a
round of the shard mechanism, whose worst pair of outputs is derived, with its proof, in
`dpgen_core.accounting.rdp`. Two accountants turn a list of events into epsilon at a given delta, both as upper
bounds:

* ``"rdp"``: Renyi curves, added and converted. Milliseconds; a few per cent loose.
* ``"pld"``: privacy loss distributions, composed numerically (`dpgen_core.accounting.pld`). Tight; up to
  seconds.

Epsilon from noise, noise from epsilon, and rounds from both:

    >>> setting = dict(sampling_rate=0.1, delta=1e-5)
    >>> round(epsilon_spent(noise_multiplier=2.5, rounds=500, **setting), 1)
    9.3
    >>> round(calibrate_noise(target_epsilon=10, rounds=500, **setting), 1)
    2.4
    >>> max_rounds(target_epsilon=10, noise_multiplier=2.5, **setting) // 50 * 50
    550

Noise multipliers are in two units, on purpose. A round's is noise std over the *contribution bound*
C, as clipping fixes C, and what replacing or removing a contribution does to the sum is the
accountant's business. A plain release's is noise std over its *sensitivity* under the ledger's
relation.
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
