"""A run under way: release, charge, journal, apply, save; resumable at any round.

`experiment.run_experiment` opens a session and writes its record when all rounds are done.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from dpgen_core.accounting import BudgetExceeded, Ledger
from dpgen_core.config.budget import LEARNERS, events_of_prior
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData
from dpgen_core.prior.gaussian import FrequencyPrior, release_prior
from dpgen_core.prior.mixture import split_classes
from dpgen_core.training.critic_trainer import CriticTrainer
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.public_side import PublicSide, prior_basis, to_bytes
from dpgen_core.training.ranks import Ranks
from dpgen_core.training.report import RoundReport
from dpgen_core.training.workspace import JournalLine, Workspace

SNAPSHOT_IMAGES = 20  # per checkpoint, from the same latents, to show how training went
_SNAPSHOT = "snapshot."
# What the first rank may say of a release, other than 1, that it may be used.
_UNUSABLE, _REFUSED = 0, 2


@dataclass(frozen=True)
class FinishedRun:
    """What training leaves.

    Attributes:
        config: of the run.
        real: the private records, for metrics.
        trainer: holds the generator.
        ledger: what was charged.
        device: where it trained.
        public: figures per round inside the guarantee.
        private: figures per round outside it.
        snapshots: images of the same latents by rounds done, uint8.
        rounds: rounds done.
        restarts: how often the run was resumed.
        seconds: training time, all restarts together.
    """

    config: ExperimentConfig
    real: ImageData
    trainer: PublicSide
    ledger: Ledger
    device: torch.device
    public: list[dict[str, float]]
    private: list[dict[str, float]]
    snapshots: dict[int, Tensor]
    rounds: int
    restarts: int
    seconds: float


# Who trains, by `config.privacy.learner`; all are built and called alike.
TRAINERS: Mapping[str, Callable[..., OwnerTrainer | CriticTrainer]] = MappingProxyType(
    {"owners": OwnerTrainer, "dp-sgd": CriticTrainer, "efsgd": CriticTrainer}
)


class Session:
    """A run under way: trainer, ledger and history, tied to its work folder."""

    def __init__(
        self, config: ExperimentConfig, real: ImageData, workspace: Workspace, ranks: Ranks
    ) -> None:
        self.config, self.real, self.workspace, self.ranks = config, real, workspace, ranks
        self.device = ranks.device
        self._learner = LEARNERS[config.privacy.learner]
        self.started = time.perf_counter()
        self.ledger = Ledger(
            relation=config.privacy.relation,
            delta=config.privacy.delta,
            accountant=config.privacy.accountant,
            target_epsilon=config.privacy.epsilon,
        )
        for line in workspace.journal:
            self._charge(self.ledger, line.name, line.index, line.attempt)
        self.public: list[dict[str, float]] = []
        self.private: list[dict[str, float]] = []
        self.snapshots: dict[int, Tensor] = {}  # by rounds done: the same public latents every time
        self.next_round, self.seconds_before, self.restarts = 0, 0.0, 0
        self._open()
        # What history says was spent by a round: the ledger may also hold later rounds, which a killed
        # process made and this one has yet to repeat.
        self.so_far = Ledger(**self.ledger.settings() | {"target_epsilon": None})
        for line in workspace.journal:
            if line.name != "rounds" or line.index < self.next_round:
                self._charge(self.so_far, line.name, line.index, line.attempt)

    @property
    def seconds(self) -> float:
        """Training time, all restarts together."""
        return self.seconds_before + time.perf_counter() - self.started

    def finished(self) -> FinishedRun:
        """What training left, for the record."""
        return FinishedRun(
            config=self.config,
            real=self.real,
            trainer=self.trainer,
            ledger=self.ledger,
            device=self.device,
            public=self.public,
            private=self.private,
            snapshots=self.snapshots,
            rounds=self.next_round,
            restarts=self.restarts,
            seconds=self.seconds,
        )

    def train(self, progress: bool, after_round: Callable[[int], None] | None) -> None:
        """All rounds that are left; stops early when the ledger refuses the next one."""
        config = self.config
        bar = tqdm(
            total=config.privacy.rounds,
            initial=self.next_round,
            disable=not progress,
            desc="rounds",
        )
        with bar:
            while self.next_round < config.privacy.rounds:
                try:
                    report = self._round(self.next_round)
                except BudgetExceeded:
                    break
                for attempt in self.workspace.attempts("rounds", self.next_round).values():
                    self._charge(self.so_far, "rounds", self.next_round, attempt)
                self.next_round += 1
                spent = self.so_far.epsilon("rdp")
                self.public.append(report.public | {"epsilon_rdp": spent})
                self.private.append(report.private)
                bar.update()
                bar.set_postfix(epsilon=f"{spent:.2f}")
                if self.next_round % config.checkpoint_every == 0:
                    self._save()
                if after_round is not None:
                    after_round(self.next_round)
        self._save()

    def _charge(self, ledger: Ledger, name: str, index: int, attempt: int) -> None:
        """Charge what one release costs; the only place that does."""
        if name == "prior":
            for event in events_of_prior(self.config):
                ledger.charge(event)
        elif (price := self._learner.event(self.config, index, attempt)) is not None:
            ledger.charge(price)

    def _open(self) -> None:
        """Restore the last checkpoint, or release the prior and start."""
        stored = self.workspace.load()
        prior = None
        if stored is not None:
            tensors, state = stored
            prior_tensors = {
                n.removeprefix("prior."): v for n, v in tensors.items() if n.startswith("prior.")
            }
            if prior_tensors:
                prior = self._prior_from(prior_tensors)
        elif self.config.prior.modes:
            released = self._release_prior().tensors() if self.ranks.first else None
            prior = self._prior_from(self.ranks.share(released))
        self.trainer = TRAINERS[self.config.privacy.learner](
            *(self.config, self.real, self.workspace.key),
            device=self.device,
            prior=prior,
            ranks=self.ranks,
        )
        if stored is None:
            self.trainer.warm_up()
            self._save()
            return
        self.snapshots = {
            int(n.removeprefix(_SNAPSHOT)): v for n, v in tensors.items() if n.startswith(_SNAPSHOT)
        }
        apart = ("prior.", _SNAPSHOT)
        self.trainer.load_tensors({n: v for n, v in tensors.items() if not n.startswith(apart)})
        self.next_round = int(state["next_round"])  # type: ignore[call-overload]
        if self.ranks.first:
            self.workspace.check_covers("prior", int(bool(self.config.prior.modes)))
            self.workspace.check_covers("rounds", self.next_round)
        self.public, self.private = state["public"], state["private"]  # type: ignore[assignment]
        self.seconds_before = float(state["seconds"])  # type: ignore[arg-type]
        self.restarts = int(state["restarts"]) + 1  # type: ignore[call-overload]

    def _prior_from(self, tensors: dict[str, Tensor]) -> FrequencyPrior:
        basis = prior_basis(self.config, self.device)
        return FrequencyPrior.from_tensors(tensors, basis, self.device)

    def _save(self) -> None:
        tensors = self.trainer.tensors()
        if not self.ranks.first:
            return
        if self.trainer.prior is not None:
            tensors |= {f"prior.{n}": v for n, v in self.trainer.prior.tensors().items()}
        if self.config.privacy.rounds:
            labels = torch.arange(SNAPSHOT_IMAGES) % self.config.num_classes
            images = self.trainer.sample(labels, stream_name="snapshots")
            self.snapshots[self.next_round] = to_bytes(images)
            tensors |= {f"{_SNAPSHOT}{n}": v for n, v in self.snapshots.items()}
        self.workspace.save(
            tensors or {"empty": torch.zeros(0)},
            {
                "next_round": self.next_round,
                "public": self.public,
                "private": self.private,
                "seconds": self.seconds,
                "restarts": self.restarts,
            },
        )

    def _round(self, index: int) -> RoundReport:
        """One release, charged and journaled by the first rank before any rank uses it."""
        known = self.workspace.attempts("rounds", index)
        first = self.ranks.decide(max(known.values(), default=0))
        for attempt in (first, first + 1):
            report = self.trainer.compute(index, attempt)
            refused: BudgetExceeded | None = None
            verdict = _UNUSABLE
            if self.ranks.first:
                try:
                    verdict = int(self._admit("rounds", index, attempt, report.digest()))
                except BudgetExceeded as error:
                    refused, verdict = error, _REFUSED
            verdict = self.ranks.decide(verdict)
            if verdict == _REFUSED:
                raise refused or BudgetExceeded("the first rank's ledger refused the round")
            if verdict != _UNUSABLE:
                self.trainer.apply(report)
                return report
        raise AssertionError("a fresh attempt is always admitted or refused by the ledger")

    def _release_prior(self) -> FrequencyPrior:
        first = max(self.workspace.attempts("prior", 0).values(), default=0)
        for attempt in (first, first + 1):
            prior = make_prior(
                self.config, self.real, self.workspace.key, device=self.device, attempt=attempt
            )
            digest = hashlib.sha256()
            for value in prior.tensors().values():
                digest.update(value.cpu().contiguous().numpy().tobytes())
            if self._admit("prior", 0, attempt, digest.hexdigest()):
                return prior
        raise AssertionError("a fresh attempt is always admitted or refused by the ledger")

    def _admit(self, name: str, index: int, attempt: int, digest: str) -> bool:
        """Whether this release may be used.

        A digest in the journal is a repeat and free. A new digest under an attempt number that the
        journal holds would reuse its noise: refused. Anything else is charged, then journaled.
        """
        known = self.workspace.attempts(name, index)
        if digest in known:
            return True
        if attempt in known.values():
            return False
        self._charge(self.ledger, name, index, attempt)
        self.workspace.record_release(JournalLine(name, index, attempt, digest))
        return True


def make_prior(
    config: ExperimentConfig, data: ImageData, key: str, *, device: torch.device, attempt: int = 0
) -> FrequencyPrior:
    """Release the frequency prior of `config`. The caller charges `prior.prior_events` first."""
    basis = prior_basis(config, device)
    images, labels = data.images.to(device), data.labels.to(device)
    shared: dict[str, Any] = {
        "noise_multiplier": config.privacy.prior_noise_multiplier,
        "cells": config.prior.num_cells,
        "key": f"{key}/prior/{attempt}",
    }
    prior = release_prior(
        images,
        labels,
        num_classes=config.num_classes,
        basis=basis,
        scale=basis.falloff(config.prior.corner),
        mean_radius=config.prior.mean_radius,
        covariance_radius=config.prior.covariance_radius,
        shared_covariance=config.prior.shared_covariance,
        **shared,
    )
    if config.prior.num_cells == 1:
        return prior
    return split_classes(
        prior,
        images,
        labels,
        rank=config.prior.directions,
        seed=config.seed,
        **shared,
    )
