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

import lazy_loader

_NAMES = {
    "calibration": ["calibrate_gaussian", "calibrate_noise", "epsilon_spent", "max_rounds"],
    "events": ["BudgetExceeded", "GaussianEvent", "SampledGaussianEvent", "epsilon_of_events"],
    "ledger": ["Ledger", "bound_text"],
}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_NAMES)
