"""Faults in what may depend on what, planted by patching the code for a `with` block.

Each is one careless line. `FAULTS` names, for each, the check of `release_checks` that must notice
it; ``tests/studies/test_release_checks.py`` plants every one, and ``make audit`` prints the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from torch import Tensor

from companion.studies import release_checks
from companion.studies.release_checks import CHECKS
from companion.studies.training_checks import Finding
from dpgen_core.prior import mixture
from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.streams import HiddenStream, secret_key
from dpgen_core.training import owner_trainer, session
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.public_side import PublicSide
from dpgen_core.training.report import RoundReport


@contextmanager
def public_coins() -> Iterator[None]:
    """Coins of a secret run are drawn from the public seed."""

    def join(trainer: OwnerTrainer, index: int, attempt: int) -> Tensor:
        privacy = trainer.config.privacy
        key = secret_key("seeded", trainer.config.seed)
        coins = HiddenStream(key, "coins", index, attempt).uniform(privacy.num_shards)
        return (coins < privacy.sampling_rate).nonzero()[:, 0]

    with patch.object(OwnerTrainer, "_join", join):
        yield


@contextmanager
def exact_counts() -> Iterator[None]:
    """Class sums are divided by the exact class counts, which nobody released."""
    honest = session.release_prior

    def release(images: Tensor, labels: Tensor, **keywords: Any) -> FrequencyPrior:
        prior = honest(images, labels, **keywords)
        exact = labels.bincount(minlength=keywords["num_classes"]).clamp(min=1)
        noisy = prior.class_share * len(labels)
        return dataclasses.replace(prior, means=prior.means * (noisy / exact)[:, None, None])

    with patch.object(session, "release_prior", release):
        yield


@contextmanager
def shared_cell_noise() -> Iterator[None]:
    """Both steps of the private k-means share one noise."""

    def first_step(key: str, name: str, step: int) -> HiddenStream:
        return HiddenStream(key, name, 0)

    with patch.object(mixture, "HiddenStream", first_step):
        yield


@contextmanager
def coins_of_the_first_attempt() -> Iterator[None]:
    """A second attempt at a round reuses the first one's coins."""
    honest = OwnerTrainer._join
    with patch.object(OwnerTrainer, "_join", lambda trainer, index, _: honest(trainer, index, 0)):
        yield


@contextmanager
def noise_of_the_first_attempt() -> Iterator[None]:
    """A second attempt at a round reuses the first one's noise."""

    def opened(key: str, name: str, index: int, attempt: int) -> HiddenStream:
        return HiddenStream(key, name, index, 0 if name == "noise" else attempt)

    with patch.object(owner_trainer, "HiddenStream", opened):
        yield


@contextmanager
def prior_noise_of_the_first_attempt() -> Iterator[None]:
    """A second attempt at the prior reuses the first one's noise."""
    honest = release_checks.make_prior

    def first(*arguments: Any, attempt: int = 0, **keywords: Any) -> FrequencyPrior:
        return honest(*arguments, attempt=0, **keywords)

    with (
        patch.object(release_checks, "make_prior", first),
        patch.object(session, "make_prior", first),
    ):
        yield


@contextmanager
def real_cohort() -> Iterator[None]:
    """The generator's step is divided by the number of owners that really joined."""
    honest = OwnerTrainer.apply

    def apply(trainer: OwnerTrainer, report: RoundReport) -> None:
        privacy = trainer.config.privacy
        expected = privacy.sampling_rate * privacy.num_shards
        scale = expected / max(1.0, report.private["joined"])
        honest(trainer, RoundReport(report.release * scale, report.public, report.private))

    with patch.object(OwnerTrainer, "apply", apply):
        yield


@contextmanager
def cohort_in_history() -> Iterator[None]:
    """The public history of a run holds how many owners joined each round."""
    honest = owner_trainer.round_report

    def report(release: Tensor, **keywords: Any) -> RoundReport:
        public = (keywords.pop("public", None) or {}) | {"cohort": len(keywords["norms"])}
        return honest(release, public=public, **keywords)

    with patch.object(owner_trainer, "round_report", report):
        yield


@contextmanager
def private_brightness() -> Iterator[None]:
    """Samples are made as bright as the owners' records are on average."""
    honest = PublicSide.sample

    def sample(trainer: Any, labels: Tensor, **keywords: Any) -> Tensor:
        images = honest(trainer, labels, **keywords)
        if not hasattr(trainer, "ensemble"):
            return images
        return (images + trainer.ensemble.codes.mean()).clamp(0, 1)

    with patch.object(PublicSide, "sample", sample):
        yield


Fault = Callable[[], AbstractContextManager[None]]
FAULTS: Mapping[str, tuple[Fault, str]] = MappingProxyType(
    {
        "coins from the public seed": (public_coins, "coins"),
        "class sums over exact counts": (exact_counts, "prior"),
        "k-means steps share one noise": (shared_cell_noise, "streams"),
        "second attempt, first coins": (coins_of_the_first_attempt, "coins"),
        "second attempt, first noise": (noise_of_the_first_attempt, "streams"),
        "second prior, first noise": (prior_noise_of_the_first_attempt, "streams"),
        "step over the real cohort": (real_cohort, "post-processing"),
        "cohort in the public history": (cohort_in_history, "published"),
        "samples as bright as the records": (private_brightness, "published"),
    }
)


def audit_release_faults() -> dict[str, list[Finding]]:
    """Every check on the code as it is ("none"), and each planted fault with the check for it."""
    findings = {"none": [check() for check in CHECKS.values()]}
    for name, (planted, check) in FAULTS.items():
        with planted():
            findings[name] = [CHECKS[check]()]
    return findings
