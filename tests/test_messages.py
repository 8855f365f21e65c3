"""Every refusal of the accounting and the mechanism, word for word.

A message is part of the interface: it names the argument, the value, the rule and the likely fix.
Spelled out here, so that none of them can be swapped, dropped or mistyped unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dpgen_core.accounting import (
    BudgetExceeded,
    GaussianEvent,
    Ledger,
    SampledGaussianEvent,
    calibrate_gaussian,
    calibrate_noise,
    epsilon_of_events,
    epsilon_spent,
    max_rounds,
)
from dpgen_core.accounting.calibration import total_variation
from dpgen_core.accounting.rdp import gaussian_rdp, rdp_to_epsilon, sampled_gaussian_rdp
from dpgen_core.checks import InvalidArgument
from dpgen_core.mechanism.efsgd import EFSGD
from dpgen_core.mechanism.error_memory import ErrorMemory
from dpgen_core.mechanism.release import sanitize
from dpgen_core.streams import HiddenStream, secret_key

ROUND = {"noise_multiplier": 2.0, "sampling_rate": 0.1, "rounds": 3, "delta": 1e-5}
TARGET = {"target_epsilon": 1.0, "delta": 1e-5, "sampling_rate": 0.1, "rounds": 3}
SETTINGS: dict[str, Any] = {
    "lr": 0.1,
    "max_grad_norm": 1.0,
    "max_error_norm": 1.0,
    "max_residual_norm": 1.0,
    "noise_multiplier": 0.0,
    "expected_batch_size": 8.0,
}


def optimizer(**changes: Any) -> EFSGD:
    return EFSGD([nn.Parameter(torch.zeros(2))], **SETTINGS | changes)


def ledger(**changes: Any) -> Ledger:
    values = {"relation": "replace-one", "delta": 1e-5, "accountant": "rdp", "target_epsilon": 1.0}
    return Ledger(**values | changes)


def noisy(**changes: Any) -> EFSGD:
    return optimizer(noise_multiplier=1.0, generator=torch.Generator(), **changes)


POSITIVE = "a finite number > 0"
REFUSALS: list[tuple[Callable[[], object], str]] = [
    # rdp
    (
        lambda: gaussian_rdp(0.0),
        f"noise_multiplier: received 0.0, but it must be {POSITIVE}. Try noise_multiplier=1.",
    ),
    (
        lambda: sampled_gaussian_rdp(0.0, 0.1),
        f"noise_multiplier: received 0.0, but it must be {POSITIVE}. Try noise_multiplier=1.",
    ),
    (
        lambda: sampled_gaussian_rdp(1.0, 0.0),
        f"sampling_rate: received 0.0, but it must be {POSITIVE} and <= 1. Try sampling_rate=0.1.",
    ),
    (
        lambda: sampled_gaussian_rdp(1.0, 1.5),
        f"sampling_rate: received 1.5, but it must be {POSITIVE} and <= 1. Try sampling_rate=0.1.",
    ),
    (
        lambda: sampled_gaussian_rdp(1.0, 0.1, "swap"),  # type: ignore[arg-type]
        "relation: received 'swap', but it must be one of replace-one, add-or-remove. "
        "Try relation='replace-one'.",
    ),
    (
        lambda: gaussian_rdp(1.0, [1.0]),
        "orders: received [1.0], but it must be finite numbers > 1. Try orders=[2, 4, 8].",
    ),
    (
        lambda: gaussian_rdp(1.0, []),
        "orders: received [], but it must be finite numbers > 1. Try orders=[2, 4, 8].",
    ),
    (
        lambda: gaussian_rdp(1.0, [2.0, np.inf]),
        "orders: received [2.0, inf], but it must be finite numbers > 1. Try orders=[2, 4, 8].",
    ),
    (
        lambda: rdp_to_epsilon([1.0], 0.0, [2.0]),
        f"delta: received 0.0, but it must be {POSITIVE} and < 1. Try delta=1e-5.",
    ),
    (
        lambda: rdp_to_epsilon([1.0], 1.0, [2.0]),
        f"delta: received 1.0, but it must be {POSITIVE} and < 1. Try delta=1e-5.",
    ),
    (
        lambda: rdp_to_epsilon([1.0], 0.1, [2.0, 3.0]),
        "rdp: received (1,), but it must be one value per order. Try the same orders.",
    ),
    (
        lambda: rdp_to_epsilon([np.nan], 0.1, [2.0]),
        "rdp: received 'NaN', but it must be a number at every order. Try infinity instead.",
    ),
    # events and settings
    (
        lambda: GaussianEvent("", 1.0),
        "name: received '', but it must be a non-empty text. Try name='rounds'.",
    ),
    (
        lambda: GaussianEvent(3, 1.0),  # type: ignore[arg-type]
        "name: received 3, but it must be a non-empty text. Try name='rounds'.",
    ),
    (
        lambda: GaussianEvent("a", 0.0),
        f"noise_multiplier: received 0.0, but it must be {POSITIVE}. Try noise_multiplier=1.0.",
    ),
    (
        lambda: GaussianEvent("a", 1.0, count=0),
        "count: received 0, but it must be a whole number >= 1. Try count=300.",
    ),
    (
        lambda: SampledGaussianEvent("a", 1.0, 0.0),
        f"sampling_rate: received 0.0, but it must be {POSITIVE} and <= 1. Try sampling_rate=0.1.",
    ),
    (
        lambda: epsilon_of_events(
            ["x"],  # type: ignore[list-item]
            delta=0.1,
            relation="replace-one",
            accountant="rdp",
        ),
        "event: received 'x', but it must be a GaussianEvent or a SampledGaussianEvent. "
        "Try GaussianEvent('counts', 2.0).",
    ),
    (
        lambda: epsilon_spent(**ROUND | {"delta": 1.0}),  # type: ignore[arg-type]
        f"delta: received 1.0, but it must be {POSITIVE} and < 1. Try delta=1e-5.",
    ),
    (
        lambda: epsilon_spent(**ROUND | {"rounds": 0}),  # type: ignore[arg-type]
        "rounds: received 0, but it must be a whole number >= 1. Try rounds=300.",
    ),
    (
        lambda: epsilon_spent(**ROUND, accountant="zcdp"),  # type: ignore[arg-type]
        "accountant: received 'zcdp', but it must be one of rdp, pld. Try accountant='rdp'.",
    ),
    (
        lambda: calibrate_noise(**TARGET | {"target_epsilon": 0.0}),  # type: ignore[arg-type]
        f"target_epsilon: received 0.0, but it must be {POSITIVE}. Try target_epsilon=10.0.",
    ),
    (
        lambda: calibrate_noise(**TARGET | {"rounds": 0}),  # type: ignore[arg-type]
        "rounds: received 0, but it must be a whole number >= 1. Try rounds=300.",
    ),
    (
        lambda: calibrate_gaussian(
            target_epsilon=1e-9, delta=1e-12, relation="replace-one", accountant="rdp"
        ),
        "target_epsilon: received 1e-09, but it must be reachable: no noise multiplier up to 1e6 "
        "meets it, beside the other events. Try a larger epsilon, a larger delta, or accountant='pld'.",
    ),
    (
        lambda: total_variation([GaussianEvent("a", 1.0)], relation="swap"),  # type: ignore[arg-type]
        "relation: received 'swap', but it must be one of replace-one, add-or-remove. "
        "Try relation='replace-one'.",
    ),
    # ledger
    (
        lambda: ledger(target_epsilon=-1.0),
        f"target_epsilon: received -1.0, but it must be {POSITIVE}. Try target_epsilon=10.0.",
    ),
    (
        lambda: ledger().epsilon("exact"),  # type: ignore[arg-type]
        "accountant: received 'exact', but it must be one of rdp, pld. Try accountant='rdp'.",
    ),
    (
        lambda: Ledger.from_dict({"delta": 0.1}),
        "record: received ['delta'], but it must be exactly "
        "['accountant', 'delta', 'events', 'relation', 'target_epsilon']. Try to_dict().",
    ),
    (
        lambda: Ledger.from_dict(ledger().to_dict() | {"events": [{"kind": "laplace"}]}),
        "kind: received 'laplace', but it must be one of gaussian, sampled-gaussian. "
        "Try kind='gaussian'.",
    ),
    # mechanism
    (
        lambda: ErrorMemory(1, 1, 1, 1.5),
        "decay: received 1.5, but it must be a finite number >= 0 and <= 1. Try decay=0.5.",
    ),
    (
        lambda: sanitize(torch.full((2, 1, 1), 3.0), 2.0, 1.0, HiddenStream(0)),
        "clipped: received 3.0, but it must be of joint norm <= max_grad_norm = 2 per shard. "
        "Try clip_contributions(...) first.",
    ),
    *(
        (
            lambda name=name: optimizer(**{name: -1.0}),  # type: ignore[misc]
            f"{name}: received -1.0, but it must be a finite number {sign} 0. Try {fix}.",
        )
        for name, sign, fix in (
            ("lr", ">", "lr=0.1"),
            ("max_grad_norm", ">", "max_grad_norm=1"),
            ("max_error_norm", ">=", "max_error_norm=1"),
            ("max_residual_norm", ">=", "max_residual_norm=1"),
            ("noise_multiplier", ">=", "noise_multiplier=1"),
            ("expected_batch_size", ">", "64"),
        )
    ),
    (
        lambda: optimizer(noise_multiplier=1.0),
        "generator: received None, but it must be a torch.Generator when noise_multiplier > 0. "
        "Try torch.Generator().manual_seed(seed).",
    ),
    (
        lambda: optimizer().step(),
        "grad_sample: received None, but it must be set on every parameter before step(). "
        "Try wrapping the model in opacus.GradSampleModule.",
    ),
    (
        lambda: noisy().event(steps=0, participations=1),
        "steps: received 0, but it must be a whole number >= 1. Try steps=100.",
    ),
    (
        lambda: noisy().event(steps=3, participations=0),
        "participations: received 0, but it must be a whole number >= 1 and <= 3. "
        "Try participations=1.",
    ),
    (
        lambda: noisy().event(steps=3, participations=4),
        "participations: received 4, but it must be a whole number >= 1 and <= 3. "
        "Try participations=1.",
    ),
    (
        lambda: optimizer().event(steps=3, participations=1),
        "noise_multiplier: received 0.0, but it must be > 0 to be charged. Try 1.0.",
    ),
    (
        lambda: secret_key("none", 1),
        "noise_source: received 'none', but it must be one of seeded, secret. "
        "Try noise_source='seeded'.",
    ),
]


@pytest.mark.parametrize("call, message", REFUSALS, ids=[m[:40] for _, m in REFUSALS])
def test_refusal_word_for_word(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "call",
    [
        lambda: sampled_gaussian_rdp(1.0, 1.0, orders=[2.0]),
        lambda: epsilon_spent(**ROUND | {"rounds": 1}),  # type: ignore[arg-type]
        lambda: GaussianEvent("a", 0.5, count=1),
        lambda: ErrorMemory(1, 1, 1, 1.0),
        lambda: ErrorMemory(1, 1, 1, 0.0),
        lambda: optimizer(max_error_norm=0.0, max_residual_norm=0.0, lr=0.5, max_grad_norm=0.5),
        lambda: optimizer(expected_batch_size=0.5),
        lambda: noisy().event(steps=1, participations=1),
        lambda: gaussian_rdp(0.5, [1.5]),
        lambda: rdp_to_epsilon([0.1], 0.5, [2.0]),
        lambda: sanitize(torch.ones(1, 1, 1), 1.0, 0.0, HiddenStream(0)),
    ],
)
def test_the_edges_of_the_rules_are_allowed(call: Callable[[], object]) -> None:
    call()


def test_a_refused_charge_says_what_is_spent_and_what_to_do() -> None:
    book = ledger(target_epsilon=2.0)
    book.charge(GaussianEvent("counts", 4.0))
    with pytest.raises(BudgetExceeded) as caught:
        book.charge(GaussianEvent("sums", 1.0))
    assert str(caught.value) == (
        "sums: with it epsilon would pass the budget of 2 at delta 1e-05 (replace-one, rdp); "
        f"{book.epsilon():.4f} is spent. Stop here, or plan fewer or noisier releases with "
        "calibrate_noise or max_rounds."
    )


def test_releases_that_leave_nothing_are_named() -> None:
    others = [GaussianEvent("counts", 0.5), GaussianEvent("sums", 0.5)]
    spent = epsilon_of_events(others, delta=1e-5, relation="replace-one", accountant="rdp")
    setting = {"noise_multiplier": 1.0, "sampling_rate": 0.1, "delta": 1e-5}
    with pytest.raises(BudgetExceeded) as caught:
        max_rounds(target_epsilon=2.0, other_events=others, **setting)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"other_events: counts, sums alone spend epsilon {spent:.4f} of target_epsilon=2, "
        "which leaves nothing. Raise the target, or give these releases more noise."
    )


def test_a_row_with_a_missing_entry_is_shown() -> None:
    record = ledger().to_dict() | {"events": [{"kind": "gaussian", "name": "a"}]}
    with pytest.raises(InvalidArgument) as caught:
        Ledger.from_dict(record)
    assert str(caught.value).startswith("events: received {'kind': 'gaussian', 'name': 'a'}, but ")
    assert str(caught.value).endswith("'noise_multiplier'. Try to_dict().")
