"""How a budget is shared out: between prior and rounds, their noise, and the cells that the prior gets.

`config.make_config` calls these with a method's settings and stores what they return. Everything here is
computed from public figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dpgen_core import accounting
from dpgen_core.checks import InvalidArgument, require
from dpgen_core.mixture import affordable_cells
from dpgen_core.prior import prior_events
from dpgen_core.server_memory import server_event

RELATION: accounting.Relation = "replace-one"
_SHARE, _SMALL_BUDGET_SHARE = 0.8, 0.95  # of the prior, where `prior_share` does not ask for any


def prior_share(
    settings: Mapping[str, Any],
    budget: Mapping[str, Any],
    *,
    class_records: float,
    channels: int,
    rank: int,
) -> float:
    """The prior's share: what `settings` ask for, or with ``prior_share=None`` by what the budget carries.

    Where the usual share does not carry more than one cell per class, the release is short of budget, and
    the rounds' gradients are far below their noise: the rounds then get a twentieth. On held-out MNIST
    (`results/tuning.csv`) accuracy did not tell the two shares apart at such a budget, so the release,
    which uses what it gets, has it. Ours.

    Args:
        settings: fields of `config.ExperimentConfig`.
        budget: ``target_epsilon``, ``delta`` and ``accountant``.
        class_records: records of a class on average; public.
        channels: of an image.
        rank: whitened directions, of which there are as many as codes at most.
    """
    asked = settings.get("prior_share", 0.0)
    if asked is not None:
        return asked
    if not settings.get("prior_modes"):
        return 0.0
    usual = {**settings, "prior_share": _SHARE, "prior_cells": None}
    cells = prior_cells(
        usual,
        prior_noise(usual, budget),
        class_records=class_records,
        channels=channels,
        rank=rank,
    )
    return _SHARE if cells > 1 else _SMALL_BUDGET_SHARE


def prior_noise(settings: Mapping[str, Any], budget: Mapping[str, Any]) -> float:
    """Noise multiplier of the prior, which spends its share of the budget; 0 without a prior.

    Args:
        settings: see `prior_share`, whose figure they hold.
        budget: see `prior_share`.
    """
    if not (share := _share_of_prior(settings)):
        return 0.0
    return accounting.calibrate_gaussian(relation=RELATION, **budget) / math.sqrt(share)


def prior_cells(
    settings: Mapping[str, Any], noise: float, *, class_records: float, channels: int, rank: int
) -> int:
    """Cells per class: what `settings` ask for, or with ``prior_cells=None`` what the budget carries.

    Args:
        settings: see `prior_share`.
        noise: what `prior_noise` returned.
        class_records: see `prior_share`.
        channels: see `prior_share`.
        rank: see `prior_share`.
    """
    asked = settings.get("prior_cells", 1)
    if asked is not None:
        return asked
    if not noise:
        return 1
    rank = min(rank, channels * settings["prior_modes"] ** 2)
    return affordable_cells(noise, class_records=class_records, rank=rank)


def rounds_noise(
    settings: Mapping[str, Any], budget: Mapping[str, Any], *, num_records: int, noise: float
) -> float:
    """Noise multiplier of the rounds, which spend what the prior leaves and no more.

    Args:
        settings: see `prior_noise`; ``prior_cells`` is a number.
        budget: see `prior_share`.
        num_records: N.
        noise: what `prior_noise` returned.

    Raises:
        InvalidArgument: the prior's share leaves nothing, or the learner takes no prior.
    """
    if not settings["rounds"]:
        return 0.0
    share = _share_of_prior(settings)
    if share >= 1.0:
        raise InvalidArgument(
            f"prior_share: received {share}, but it must be < 1 when rounds > 0. Try 0.5."
        )
    if settings.get("learner") == "efsgd":
        require(not share, "prior_share", share, "0 with learner='efsgd'", "learner='dp-sgd'")
        # One Gaussian for the whole run, see `EFSGD.event`: its noise grows with sigma in proportion.
        unit = server_event(noise_multiplier=1.0, num_records=num_records, settings=settings)
        whole = accounting.calibrate_gaussian(relation=RELATION, **budget)
        return whole / unit.noise_multiplier
    return accounting.calibrate_noise(
        sampling_rate=settings["sampling_rate"],
        rounds=settings["rounds"],
        relation=RELATION,
        other_events=prior_events(noise, settings.get("prior_cells", 1)) if share else (),
        **budget,
    )


def _share_of_prior(settings: Mapping[str, Any]) -> float:
    return settings.get("prior_share", 0.0) if settings.get("prior_modes") else 0.0
