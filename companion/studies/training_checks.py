"""The audit of a training run, which must catch every fault of `planted_faults`.

Every check runs the real training code and answers one question about the guarantee:

* *canaries*: do the releases reveal more about an owner's secret bit than delta(0) allows?
* *cohort*: does the number of joining owners vary as with hidden, independent coins?
* *twins*: given the same releases, do two neighbors agree in everything public, and do their sums
  differ by at most 2 C, and not at all in rounds without the owner of the changed record?
* *ledger*: after a kill and a resume, was every release charged?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import torch
from scipy.stats import chi2
from torch import Tensor

from companion.studies.canaries import accuracy_p_value, one_run_epsilon, run_with_canaries
from companion.studies.planted_faults import FAULTS
from dpgen_core.accounting.calibration import total_variation
from dpgen_core.accounting.events import SampledGaussianEvent
from dpgen_core.config.budget import LEARNERS
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData, load
from dpgen_core.experiment import run_experiment
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.owners import assign_shards
from dpgen_core.training.report import RoundReport

REJECT = 1e-4  # a p-value below this fails the audit
_KEY = "audit"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: its name.
        value: the figure it measured.
        allowed: what the guarantee allows, in words.
        passed: whether the figure is within that.
    """

    check: str
    value: str
    allowed: str
    passed: bool


def audit_config(**changes: Any) -> ExperimentConfig:
    """Settings of the audited runs: many owners, small critics, epsilon 10."""
    values: dict[str, Any] = {
        "dataset": "glyphs",
        "method": "efsgd",
        "profile": "smoke",
        "num_records": 5000,  # the reconstruction loss needs several of a class
        "num_shards": 500,
        "sampling_rate": 0.1,
        "rounds": 60,
        "generated_batch": 20,
        "critic_width": 8,
        "critic_batch": 4,
        "epsilon": 10.0,
    }
    return make_config(**values | changes)


def check_canaries(config: ExperimentConfig, data: ImageData) -> Finding:
    """A canary in every owner: right guesses against the accounted events' total variation."""
    guesses = run_with_canaries(_trainer(config, data), config.privacy.num_shards)
    events = [dataclasses.replace(_round_event(config), count=config.privacy.rounds)]
    advantage = total_variation(events)
    count = len(guesses.bits)
    p_value = accuracy_p_value(guesses.correct, count, advantage)
    sure = max(1, count // 5)
    proved = one_run_epsilon(guesses.most_confident(sure), sure, count, delta=config.privacy.delta)
    return Finding(
        "canaries",
        f"{guesses.correct} of {count} bits right, p = {p_value:.2g}; "
        f"epsilon >= {proved:.2f} in one run",
        f"{(1 + advantage) / 2:.1%} right on average; epsilon <= {config.privacy.epsilon:g}",
        p_value >= REJECT and proved <= config.privacy.epsilon,
    )


def check_cohort(config: ExperimentConfig, data: ImageData) -> Finding:
    """All owners answer with the same direction, so that a release shows how many joined."""
    trainer = _trainer(config, data)
    size = config.contribution.generated_batch * trainer.basis.dim
    direction = torch.nn.functional.normalize(torch.ones(size), dim=0)
    original = trainer.ensemble.answer

    def answer(joined: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        contributions = original(joined, *arguments, **keywords)
        answers = config.privacy.max_grad_norm * direction.reshape(contributions.shape[1:])
        return answers.expand_as(contributions).clone()

    trainer.ensemble.answer = answer  # type: ignore[method-assign]
    seen = []
    for index in range(config.privacy.rounds):
        report = trainer.compute(index)
        seen.append(report.release.flatten() @ direction)
    event = _round_event(config)
    coins = config.privacy.num_shards * event.sampling_rate * (1 - event.sampling_rate)
    expected = config.privacy.max_grad_norm**2 * (coins + event.noise_multiplier**2)
    measured = torch.stack(seen).double().var().item()
    statistic = (config.privacy.rounds - 1) * measured / expected
    below = float(chi2.cdf(statistic, config.privacy.rounds - 1))
    p_value = 2 * min(below, 1 - below)
    return Finding(
        "cohort",
        f"variance {measured:.1f}, p = {p_value:.2g}",
        f"variance {expected:.1f} of hidden coins and noise",
        p_value >= REJECT,
    )


def check_twins(config: ExperimentConfig, data: ImageData) -> Finding:
    """Two neighbors given the same releases; see `replay_twins`."""
    rounding = 1e-5 * (1 + config.privacy.noise_multiplier) * config.privacy.max_grad_norm
    bound = 2 * config.privacy.max_grad_norm
    rounds = replay_twins(config, data)
    gaps = [gap for joined, gap, _ in rounds if joined]
    leaks = [gap for joined, gap, _ in rounds if not joined]
    public = all(same for _, _, same in rounds)
    largest, leak = max(gaps, default=0.0), max(leaks, default=0.0)
    fine = public and largest <= bound + rounding and leak <= rounding
    return Finding(
        "twins",
        f"sums {largest:.3g} C apart, {leak:.2g} C when absent; public parts "
        f"{'equal' if public else 'differ'}",
        f"{2:g} C, 0, equal",
        fine,
    )


def check_ledger(config: ExperimentConfig, data: ImageData) -> Finding:
    """A run killed after five rounds, one past its checkpoint, and resumed."""
    small = config.replace(rounds=8, checkpoint_every=2, synthetic_records=20, real_records=20)
    seen: set[str] = set()
    original = OwnerTrainer.apply

    def listening(trainer: OwnerTrainer, report: RoundReport) -> None:
        seen.add(report.digest())
        original(trainer, report)

    def kill(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with TemporaryDirectory() as folder, patch.object(OwnerTrainer, "apply", listening):
        place = Path(folder)
        with suppress(KeyboardInterrupt):
            run_experiment(small, results_dir=place, progress=False, after_round=kill)
        record = run_experiment(small, results_dir=place, progress=False)
        events = record.privacy["ledger"]["events"]
    charged = sum(event["count"] for event in events if event["name"] == "rounds")
    return Finding(
        "ledger",
        f"{len(seen)} releases, {charged} charged",
        "as many charged as made",
        charged >= len(seen),
    )


CHECKS: Mapping[str, Callable[[ExperimentConfig, ImageData], Finding]] = MappingProxyType(
    {
        "canaries": check_canaries,
        "cohort": check_cohort,
        "twins": check_twins,
        "ledger": check_ledger,
    }
)


def replay_twins(
    config: ExperimentConfig, data: ImageData, *, rounds: int = 30
) -> list[tuple[bool, float, bool]]:
    """Run two neighbors and give the second the first one's releases.

    The proof's induction over rounds does the same. Coins and noise are equal in both, so the noise
    cancels in the difference.

    Returns:
        Per round: whether the changed record's shard joined, the distance of the two releases, and
        whether latents, labels and generated images are equal.
    """
    shards = assign_shards(config.privacy.num_records, config.privacy.num_shards, seed=config.seed)
    shard = 3
    changed = int(shards[shard, 0])
    images, labels = data.images.clone(), data.labels.clone()
    images[changed], labels[changed] = 1.0, (labels[changed] + 1) % config.num_classes
    neighbor = ImageData(data.name, images, labels, data.class_names)
    first, second = _trainer(config, data), _trainer(config, neighbor)
    outcome = []
    for index in range(rounds):
        report, other = first.compute(index), second.compute(index)
        latents = zip(
            first.latents("round", index, config.contribution.generated_batch),
            second.latents("round", index, config.contribution.generated_batch),
            strict=True,
        )
        same = all(torch.equal(a, b) for a, b in latents)
        same = same and torch.equal(first._codes, second._codes)
        gap = (report.release - other.release).norm().item() / config.privacy.max_grad_norm
        outcome.append((shard in first._join(index, 0).tolist(), gap, same))
        first.apply(report)
        second.apply(RoundReport(report.release, other.public, other.private))
    return outcome


def audit_faults(config: ExperimentConfig | None = None) -> dict[str, list[Finding]]:
    """Every check on the unchanged code ("none") and with each fault planted.

    Runs on one thread: for tensors this small a second one costs more than it gains.
    """
    config = audit_config() if config is None else config
    data = load("glyphs", "train", num_records=config.privacy.num_records, seed=config.seed)
    findings = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, planted in FAULTS.items():
            with planted():
                findings[name] = [check(config, data) for check in CHECKS.values()]
    finally:
        torch.set_num_threads(threads)
    return findings


def _trainer(config: ExperimentConfig, data: ImageData) -> OwnerTrainer:
    return OwnerTrainer(config, data, _KEY, device=torch.device("cpu"))


def _round_event(config: ExperimentConfig) -> SampledGaussianEvent:
    """The accounted event of a round of the audited runs."""
    event = LEARNERS[config.privacy.learner].event(config, 0, 0)
    assert isinstance(event, SampledGaussianEvent)
    return event
