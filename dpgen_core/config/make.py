"""From a few arguments to a whole configuration: checks, preset, and noise for the budget.

Whatever is wrong is named, with the rule and a fix:

    >>> config = make_config(dataset="glyphs", method="efsgd", epsilon=3.0)
    >>> config.privacy.rounds, round(config.privacy.noise_multiplier, 1)
    (300, 5.2)
    >>> make_config(dataset="glyphs", epsilon=-1)
    Traceback (most recent call last):
    ...
    dpgen_core.checks.InvalidArgument: epsilon: received -1, but it must be a finite number > 0...
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.config.budget import LEARNERS, calibrated
from dpgen_core.config.groups import FLAT, CriticConfig
from dpgen_core.config.presets import (
    DEFAULT_DELTA,
    PROFILES,
    SHARD_RECORDS,
    SMOKE_RECORDS,
    method_names,
    preset,
)
from dpgen_core.config.schema import COMPUTED, NOTES, OPTIONS, ExperimentConfig
from dpgen_core.data import sets


def make_config(
    *,
    dataset: str,
    method: str = "efsgd-prior",
    profile: str = "quick",
    epsilon: float = 10.0,
    delta: float = DEFAULT_DELTA,
    accountant: str = "rdp",
    seed: int = 0,
    num_records: int | None = None,
    noise_source: str = "seeded",
    root: Path | None = None,
    image_size: int | None = None,
    **overrides: Any,
) -> ExperimentConfig:
    """Check every setting, fill in the preset, calibrate the noise to the budget.

    Args:
        dataset: a name in `data.sets.NAMES`.
        method: a name in `method_names()`. ``efsgd`` runs owner-side error feedback; the optimizer
            `EFSGD`, with one memory on the server, is what ``efsgd-critic`` runs.
        profile: ``smoke``, ``quick`` or ``paper``.
        epsilon: the budget, > 0.
        delta: in (0, 1/N).
        accountant: ``rdp`` or ``pld``, which calibrates the noise. The RDP figure is never below
            the PLD figure, so ``rdp`` keeps the budget under both.
        seed: public.
        num_records: N, a public random subset of that size; None takes all (`smoke`: 2000).
        noise_source: ``seeded`` or ``secret``, see `streams.secret_key`.
        root: data folder; None reads ``$DPGEN_DATA`` or ``./data``.
        image_size: side in pixels of CelebA's, glyphs' and one's own images, a multiple of 4 from 16
            to 128; None takes 32, and 28 for glyphs and one's own in gray.
        **overrides: any other setting by flat name, but those in `schema.COMPUTED`. ``prior_share``
            and ``prior_cells`` take None for what the budget carries, see `budget`.
            ``images_per_person`` keeps at most so many of each person in one's own ``labels.csv``,
            and `epsilon` and `delta` are then for a person.
    """
    check_choice("dataset", dataset, sets.NAMES)
    check_choice("method", method, method_names())
    check_choice("profile", profile, PROFILES)
    settable = {*FLAT, *NOTES, *OPTIONS} - COMPUTED
    unknown, rule = sorted(set(overrides) - settable), f"among {', '.join(sorted(settable))}"
    require(not unknown, "overrides", unknown, rule, "a listed name")
    spec = sets.dataset_spec(dataset, root=root, image_size=image_size)
    available = sets.train_size(
        dataset,
        root=root,
        hold_out=bool(overrides.get("evaluated", True)),
        image_size=image_size,
        per_person=overrides.get("images_per_person"),
    )
    if num_records is None:
        num_records = min(SMOKE_RECORDS, available) if profile == "smoke" else available
    check_int("num_records", num_records, low=1, high=available, fix=f"num_records={available}")

    settings = preset(method, profile, image_shape=spec.image_shape)
    # Ten records for each owner at least; from N alone, which is public.
    settings["num_shards"] = min(settings["num_shards"], max(1, num_records // SHARD_RECORDS))
    settings["fake_pool"] = max(
        settings.get("fake_pool", CriticConfig.fake_pool), 4 * spec.num_classes
    )
    settings |= overrides
    learner = LEARNERS.get(settings.get("learner", "owners"))
    if learner is not None and learner.single:
        settings["num_shards"] = num_records  # a record is its own shard
    given = {"dataset": dataset, "method": method, "profile": profile, "seed": seed}
    given |= {"epsilon": epsilon, "delta": delta, "accountant": accountant}
    given |= {"num_records": num_records, "noise_source": noise_source}
    given |= {"num_classes": spec.num_classes, "image_shape": spec.image_shape}
    return calibrated(ExperimentConfig.from_dict(settings | given))
