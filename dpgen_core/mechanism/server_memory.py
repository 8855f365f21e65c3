"""EFSGD on the server for a critic: public blocks of records, the memory's constants and price."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from dpgen_core.accounting.events import GaussianEvent
from dpgen_core.mechanism.efsgd import EFSGD

ERROR_SHARE = 0.5  # C2 / C: how much of the memory one step may feed back
RESIDUAL_SHARE = 0.1  # kappa / C: how much of one record's residual the memory may keep


def blocks_per_epoch(sampling_rate: float) -> int:
    """Public blocks of an epoch; every record is in one of them."""
    return max(1, round(1 / sampling_rate))


def build_efsgd(
    weights: Iterable[Tensor],
    *,
    noise_multiplier: float,
    num_records: int,
    sampling_rate: float,
    max_grad_norm: float,
    memory: bool,
) -> EFSGD:
    """`EFSGD` used for its releases, not its steps; without `memory` it is plain DP-SGD.

    `sampling_rate` is the share of the `num_records` records in a block.
    """
    kept = max_grad_norm if memory else 0.0
    return EFSGD(
        weights,
        lr=1.0,
        max_grad_norm=max_grad_norm,
        max_error_norm=ERROR_SHARE * kept,
        max_residual_norm=RESIDUAL_SHARE * kept,
        noise_multiplier=noise_multiplier,
        expected_batch_size=num_records / blocks_per_epoch(sampling_rate),
        generator=torch.Generator(),
    )


def server_event(*, rounds: int, sampling_rate: float, **setting: Any) -> GaussianEvent:
    """The price of `rounds` steps, as one release; the other arguments as in `build_efsgd`."""
    weights = [torch.zeros(1, requires_grad=True)]
    optimizer = build_efsgd(weights, sampling_rate=sampling_rate, **setting)
    participations = math.ceil(rounds / blocks_per_epoch(sampling_rate))
    return optimizer.event(steps=rounds, participations=participations, name="rounds")
