"""Recomputing the privacy figure of GS-WGAN and DP-GAN-DPAC, the lineage of the paper.

GS-WGAN and DP-GAN-DPAC draw one of K discriminators per generator step, push B images through it,
clip each image's gradient to C / B and add noise of std 2 C sigma / B to it. Their analysis counts
steps * B independent subsampled Gaussian mechanisms of multiplier sigma. The B queries of a step
share one draw, however: the changed record is involved in all of them or in none. A step is thus
*one* subsampled Gaussian on the stacked gradients, which move by up to 2 C / sqrt(B): multiplier
sigma / sqrt(B). When the record's discriminator is not drawn, the gradient of another one is
released instead, which may lie at the opposite side of the ball: the worst pair is that of
add-or-remove, at the full distance 2 C. `accounting_study` compares the readings.

Neither figure covers DP-GAN-DPAC's second release (its classifier's gradient), or the state that
discriminators keep from one draw to the next, for which no bound for a fixed-size draw holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.special import gammaln, logsumexp

from dpgen_core.accounting.calibration import calibrate_noise, epsilon_spent
from dpgen_core.accounting.events import (
    Accountant,
    Event,
    Relation,
    SampledGaussianEvent,
    epsilon_of_events,
)
from dpgen_core.checks import check_int, check_real

# Settings of the published DP-GAN-DPAC code; GS-WGAN's are those for MNIST.
SETTINGS: Mapping[str, Mapping[str, float | int]] = MappingProxyType(
    {
        "MNIST": MappingProxyType(
            {"num_discriminators": 1000, "noise_multiplier": 1.07, "steps": 20_000, "batch": 32}
        ),
        "CelebA": MappingProxyType(
            {"num_discriminators": 2543, "noise_multiplier": 0.61135, "steps": 20_000, "batch": 32}
        ),
    }
)
CLASSIFIER_FROM = 6000  # the step from which the second gradient is released


def claimed_epsilon(
    *, num_discriminators: int, noise_multiplier: float, steps: int, batch: int, delta: float
) -> float:
    """The published figure: steps * batch independent draws of one discriminator in K.

    The amplification bound is that of Wang, Balle & Kasiviswanathan (2019, theorem 9) for a draw
    without replacement, at whole orders; the conversion is rdp + log(1 / delta) / (alpha - 1).

    Args:
        num_discriminators: K >= 2.
        noise_multiplier: sigma > 0.
        steps: generator steps, >= 1.
        batch: images per step B, >= 1.
        delta: in (0, 1).

    Returns:
        epsilon as the lineage computes it; no guarantee, see the module docstring.
    """
    _check(num_discriminators, noise_multiplier, steps, batch)
    check_real("delta", delta, low=0, high=1, low_open=True, high_open=True, fix="delta=1e-5")
    base = 1 / (2 * noise_multiplier**2)  # Renyi curve of the Gaussian, per unit of order
    log_rate = -math.log(num_discriminators)
    best = math.inf
    for order in range(2, 129):
        j = np.arange(3, order + 1)  # (order - 2,)
        second = min(math.log(4 * math.expm1(min(2 * base, 700.0))), 2 * base + math.log(2))
        terms = np.concatenate(
            [
                [0.0, 2 * log_rate + _log_binomial(order, 2) + second],
                j * log_rate + _log_binomial(order, j) + (j - 1) * j * base + math.log(2),
            ]
        )
        rdp = float(logsumexp(terms)) / (order - 1)
        best = min(best, steps * batch * rdp - math.log(delta) / (order - 1))
    return best


def shared_draw_epsilon(
    *,
    num_discriminators: int,
    noise_multiplier: float,
    steps: int,
    batch: int,
    delta: float,
    accountant: Accountant = "pld",
) -> float:
    """Epsilon of the same training with one draw per step shared by its `batch` queries.

    Arguments as in `claimed_epsilon`. Its pair of distributions is attained, so no smaller figure
    holds in general.
    """
    _check(num_discriminators, noise_multiplier, steps, batch)
    return epsilon_spent(
        noise_multiplier=noise_multiplier / math.sqrt(batch),
        sampling_rate=1 / num_discriminators,
        rounds=steps,
        delta=delta,
        relation="add-or-remove",
        accountant=accountant,
    )


def accounting_study(
    *, num_discriminators: int, noise_multiplier: float, steps: int, batch: int, delta: float = 1e-5
) -> pd.DataFrame:
    """The same training under several readings, epsilon by both accountants.

    Arguments as in `claimed_epsilon`. The row with the classifier assumes that its gradient gets
    the same clip and noise as the first one, the mildest case.

    Returns:
        One row per reading; columns ``renyi`` and ``pld`` (NaN where a reading has no such figure).
    """
    rate = 1 / num_discriminators
    shared = noise_multiplier / math.sqrt(batch)

    def both(*events: Event, poisson: bool = False) -> dict[str, float]:
        relation: Relation = "replace-one" if poisson else "add-or-remove"
        return {
            "renyi": epsilon_of_events(events, delta=delta, relation=relation, accountant="rdp"),
            "pld": epsilon_of_events(events, delta=delta, relation=relation, accountant="pld"),
        }

    def step(name: str, noise: float, count: int) -> SampledGaussianEvent:
        return SampledGaussianEvent(name, noise, rate, count=count)

    claimed = claimed_epsilon(
        num_discriminators=num_discriminators,
        noise_multiplier=noise_multiplier,
        steps=steps,
        batch=batch,
        delta=delta,
    )
    alone = min(CLASSIFIER_FROM, steps - 1)
    twice = noise_multiplier / math.sqrt(2 * batch)
    rows = {
        "as published: independent draws": {"renyi": claimed},
        "independent draws, tight accounting": both(step("image", noise_multiplier, steps * batch)),
        "one shared draw per step": both(step("step", shared, steps)),
        # a shard's joint contribution is C / sqrt(B), half the diameter that the other rows count
        "the same under Poisson sampling": both(step("step", 2 * shared, steps), poisson=True),
        "one shared draw, classifier's gradient too": both(
            step("images", shared, alone), step("images and classifier", twice, steps - alone)
        ),
    }
    return pd.DataFrame(rows).T[["renyi", "pld"]]


def honest_noise(
    *,
    num_discriminators: int,
    steps: int,
    batch: int,
    target_epsilon: float = 10.0,
    delta: float = 1e-5,
    accountant: Accountant = "pld",
) -> float:
    """The published mechanism's sigma, per image, at which a shared draw costs `target_epsilon`.

    Other arguments as in `claimed_epsilon`.
    """
    noise = calibrate_noise(
        target_epsilon=target_epsilon,
        delta=delta,
        sampling_rate=1 / num_discriminators,
        rounds=steps,
        relation="add-or-remove",
        accountant=accountant,
    )
    return noise * math.sqrt(batch)


def noise_table() -> pd.DataFrame:
    """Published sigma and that of a true epsilon of 10 at delta 1e-5, one row per `SETTINGS`."""
    rows = {
        name: {
            "published sigma": published["noise_multiplier"],
            "sigma for epsilon 10": honest_noise(
                num_discriminators=int(published["num_discriminators"]),
                steps=int(published["steps"]),
                batch=int(published["batch"]),
            ),
        }
        for name, published in SETTINGS.items()
    }
    return pd.DataFrame(rows).T


def _log_binomial(n: int, k: int | np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(np.add(k, 1)) - gammaln(n - np.asarray(k) + 1)


def _check(num_discriminators: int, noise_multiplier: float, steps: int, batch: int) -> None:
    check_int("num_discriminators", num_discriminators, low=2, fix="num_discriminators=1000")
    check_real("noise_multiplier", noise_multiplier, low=0, low_open=True, fix="1.07")
    check_int("steps", steps, low=1, fix="steps=20000")
    check_int("batch", batch, low=1, fix="batch=32")
