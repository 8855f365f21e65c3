"""EFSGD on the server for a critic: public blocks of records, constants of the memory, and its price."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from dpgen_core.accounting import GaussianEvent
from dpgen_core.efsgd import EFSGD

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
    settings: Mapping[str, Any],
) -> EFSGD:
    """The optimizer whose memory is on the server.

    Args:
        weights: what it would step; here only its release is used.
        noise_multiplier: sigma.
        num_records: N.
        settings: ``max_grad_norm``, ``sampling_rate``, and ``feedback_decay``, of which 0 switches the
            memory off.
    """
    radius = settings["max_grad_norm"]
    kept = radius if settings.get("feedback_decay", 1.0) else 0.0
    return EFSGD(
        weights,
        lr=1.0,
        max_grad_norm=radius,
        max_error_norm=ERROR_SHARE * kept,
        max_residual_norm=RESIDUAL_SHARE * kept,
        noise_multiplier=noise_multiplier,
        expected_batch_size=num_records / blocks_per_epoch(settings["sampling_rate"]),
        generator=torch.Generator(),
    )


def server_event(
    *, noise_multiplier: float, num_records: int, settings: Mapping[str, Any]
) -> GaussianEvent:
    """The price of a whole run of ``settings["rounds"]`` steps over public blocks, as one release."""
    optimizer = build_efsgd(
        [torch.zeros(1, requires_grad=True)],
        noise_multiplier=noise_multiplier,
        num_records=num_records,
        settings=settings,
    )
    participations = math.ceil(settings["rounds"] / blocks_per_epoch(settings["sampling_rate"]))
    return optimizer.event(steps=settings["rounds"], participations=participations, name="rounds")
