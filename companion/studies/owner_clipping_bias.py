"""Clipping bias among data owners: how large it is, and how much an owner's memory repairs.

The figures are not private: they are measured without noise, or on public data (`glyphs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd
import torch
from torch.nn import functional as F

from companion.studies.clipping_bias import ClippingBias
from dpgen_core.checks import check_choice, check_int
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import load
from dpgen_core.mechanism.error_memory import ErrorMemory
from dpgen_core.records.record import Record
from dpgen_core.streams import secret_key
from dpgen_core.training.owner_trainer import OwnerTrainer

# Settings under which the bias is measured, as changes to profile `smoke`.
SETTINGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "WGAN-GP critic, joint clip": {},
        "WGAN-GP critic, per-image clip": {"clip_mode": "per-image"},
        "critic without penalty, joint clip": {"gradient_penalty": 0.0},
        "critic without penalty, per-image clip": {
            "gradient_penalty": 0.0,
            "clip_mode": "per-image",
        },
        "strong reconstruction, per-image clip": {
            "reconstruction_weight": 1.0,
            "clip_mode": "per-image",
        },
        "classifier loss, per-image clip": {"classifier_weight": 5.0, "clip_mode": "per-image"},
    }
)


def owners_over_time(
    vary: str, *, decay: float, rounds: int = 400, num_owners: int = 100, seed: int = 0
) -> pd.Series:
    """Error of the sum of owners with an `ErrorMemory` whose contributions vary in length.

    Every owner has a direction of its own, and on average a length of half the bound C = 1. Either
    some owners always send long contributions and the others short ones
    (``vary="between owners"``), or every owner sends a long one now and then
    (``vary="over time"``).

    Args:
        vary: ``"between owners"`` or ``"over time"``.
        decay: of the memory; 0 switches it off.
        rounds: T; every owner joins in each.
        num_owners: K.
        seed: of the simulated contributions.

    Returns:
        By round: 1 - cosine between the sums so far of what was released and of what the owners
        computed.
    """
    check_choice("vary", vary, ("between owners", "over time"))
    check_int("rounds", rounds, low=1, fix="rounds=400")
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(num_owners, 1, 20, generator=generator), dim=2)
    labels, joined = torch.zeros(1, dtype=torch.long), torch.arange(num_owners)
    memory = ErrorMemory(num_owners, 1, 20, decay)
    loud = _loud(generator, num_owners)
    wanted, released = torch.zeros(20), torch.zeros(20)
    error = []
    for _ in range(rounds):
        if vary == "over time":
            loud = _loud(generator, num_owners)
        contributions = loud[:, None, None] * directions  # (K, 1, 20)
        kept, _ = memory.feed_back(joined, contributions, labels, 1.0)
        wanted, released = wanted + contributions.sum((0, 1)), released + kept.sum((0, 1))
        error.append(1 - torch.cosine_similarity(wanted, released, dim=0).item())
    return pd.Series(error, index=pd.RangeIndex(1, rounds + 1, name="round"), name=vary)


def setting_bias(setting: str, *, rounds: int = 6, seed: int = 0) -> ClippingBias:
    """Mean bias over the first rounds of the mechanism on `glyphs`, without memory.

    Args:
        setting: a key of `SETTINGS`.
        rounds: how many rounds to average over.
        seed: public seed.
    """
    check_choice("setting", setting, SETTINGS)
    check_int("rounds", rounds, low=1, fix="rounds=6")
    config = make_config(
        dataset="glyphs",
        method="efsgd",
        profile="smoke",
        seed=seed,
        **{"feedback_decay": 0.0, "critic_steps": 5, "critic_warmup_steps": 20, "rounds": rounds}
        | dict(SETTINGS[setting]),
    )
    data = load("glyphs", "train", num_records=config.privacy.num_records, seed=seed)
    key = secret_key("seeded", seed)
    trainer = OwnerTrainer(config, data, key, device=torch.device("cpu"))
    trainer.warm_up()
    seen = []
    for index in range(rounds):
        report = trainer.compute(index)
        trainer.apply(report)
        seen.append(report.private)
    table = pd.DataFrame(seen)
    return ClippingBias(
        cosine=float(table["clip_cosine"].mean()),
        norm_spread=float(table["norm_spread"].mean()),
        clipped_share=float(table["clipped_share"].mean()),
    )


def recorded_bias(records: Sequence[Record]) -> pd.DataFrame:
    """What full runs logged about their clipping: medians over the rounds of each record.

    Args:
        records: from `committed_records`; those without rounds are left out.
    """
    rows = []
    for record in records:
        table = record.diagnostics
        if table.empty:
            continue
        config = record.config
        rows.append(
            {
                "data set": config.dataset,
                "method": config.method,
                "epsilon": f"{config.privacy.epsilon:g}",
                "clip": config.contribution.clip_mode,
                "memory": _memory(config),
                "cosine": table["clip_cosine"].median(),
                "lowest cosine": table["clip_cosine"].min(),
                "norm spread": table["norm_spread"].median(),
                "share clipped": table["clipped_share"].median(),
            }
        )
    return pd.DataFrame(rows).round(4)


def _memory(config: ExperimentConfig) -> str:
    """Whether there is a memory and whose: DP-SGD has none, whatever its unused setting says."""
    if config.privacy.learner == "dp-sgd":
        return "none"
    whose = "on" if config.privacy.learner == "owners" else "on, the server's"
    return whose if config.contribution.feedback_decay else "off"


def _loud(generator: torch.Generator, count: int) -> torch.Tensor:
    """Lengths of mean 0.5: one in eight is 3.3, the others 0.1."""
    pick = torch.rand(count, generator=generator) < 0.125
    return torch.where(pick, 3.3, 0.1)
