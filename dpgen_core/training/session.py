"""A run under way: release, charge, journal, apply, save; resumable at any round.

`experiment.run_experiment` opens a session and writes its record when all rounds are done.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from dpgen_core.accounting.events import BudgetExceeded
from dpgen_core.accounting.ledger import Ledger
from dpgen_core.config.budget import LEARNERS, events_of_prior
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData
from dpgen_core.pixels import to_bytes
from dpgen_core.prior.gaussian import FrequencyPrior, release_prior
from dpgen_core.prior.mixture import split_classes
from dpgen_core.training.critic_trainer import DPSGDCriticTrainer, EFSGDCriticTrainer
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.ranks import Ranks
from dpgen_core.training.report import RoundReport, Trainer
from dpgen_core.training.sampler import prior_basis
from dpgen_core.training.workspace import JournalLine, Workspace, below

SNAPSHOT_IMAGES = 20  # per checkpoint, from the same latents, to show how training went
_SNAPSHOT = "snapshot"
# What the first rank may answer of a release, other than 1, that it may be used.
_UNUSABLE, _REFUSED = 0, 2
# Who trains, by `config.privacy.learner`; all are built and called alike, see `report.Trainer`.
TRAINERS: Mapping[str, Callable[..., Trainer]] = {
    "owners": OwnerTrainer,
    "dp-sgd": DPSGDCriticTrainer,
    "efsgd": EFSGDCriticTrainer,
}


class Session:
    """A run under way, tied to its work folder; `real` are the records in the order of their slots.

    `public` and `private` are figures per round inside and outside the guarantee, `snapshots` images
    of the same latents by rounds done (uint8), `next_round` the rounds done.
    """

    def __init__(
        self, config: ExperimentConfig, real: ImageData, workspace: Workspace, ranks: Ranks
    ) -> None:
        self.config, self.real, self.workspace, self.ranks = config, real, workspace, ranks
        self.device = ranks.device
        self._learner = LEARNERS[config.privacy.learner]
        self._started, self._seconds_before = time.perf_counter(), 0.0
        privacy = config.privacy
        self.ledger = Ledger(
            relation=privacy.relation,
            delta=privacy.delta,
            accountant=privacy.accountant,
            target_epsilon=privacy.epsilon,
            group_size=privacy.group_size,
        )
        for line in workspace.journal:
            self._charge(self.ledger, line.name, line.index, line.attempt)
        self.public: list[dict[str, float]] = []
        self.private: list[dict[str, float]] = []
        self.snapshots: dict[int, Tensor] = {}
        self.next_round, self.restarts = 0, 0
        self._afresh: set[int] = set()  # rounds whose journaled releases are not to be repeated
        self._open()
        # What the history shows as spent by a round. The ledger may also hold later rounds, which a
        # killed process made and this one has yet to repeat.
        self.so_far = Ledger(**self.ledger.settings() | {"target_epsilon": None})
        for line in workspace.journal:
            if line.name != "rounds" or line.index < self.next_round:
                self._charge(self.so_far, line.name, line.index, line.attempt)

    @property
    def seconds(self) -> float:
        """Training time, all restarts together."""
        return self._seconds_before + time.perf_counter() - self._started

    def train(self, progress: bool, after_round: Callable[[int], None] | None) -> None:
        """All rounds that are left; stops early when the ledger refuses the next one."""
        total = self.config.privacy.rounds
        with tqdm(total=total, disable=not (progress and total), desc="rounds") as bar:
            replayed = self._replay()
            while self.next_round < total:
                try:
                    report = replayed.pop(0) if replayed else self._round(self.next_round)
                except BudgetExceeded:
                    break
                self._note(report)
                bar.update(self.next_round - bar.n)
                bar.set_postfix(epsilon=f"{self.public[-1]['epsilon_rdp']:.2f}")
                if self.next_round % self.config.checkpoint_every == 0 and not replayed:
                    self._save()
                if after_round is not None:
                    after_round(self.next_round)
        self._save()

    def _note(self, report: RoundReport) -> None:
        """Count a round that was applied, with what was spent up to it."""
        for attempt in self.workspace.attempts("rounds", self.next_round).values():
            self._charge(self.so_far, "rounds", self.next_round, attempt)
        self.next_round += 1
        self.public.append(report.public | {"epsilon_rdp": self.so_far.epsilon("rdp")})
        self.private.append(report.private)

    def _replay(self) -> list[RoundReport]:
        """Repeat the rounds that were journaled after the checkpoint: all of them, or none.

        A round that nobody joined repeats bit for bit on any device. Free beside neighbors that are
        charged again, it would be seen, so one release that differs has all of them drawn afresh.
        """
        last = max((n.index for n in self.workspace.journal if n.name == "rounds"), default=-1)
        pending = range(self.next_round, self.ranks.decide(last + 1))
        reports: list[RoundReport] = []
        for index in pending:
            known = self.workspace.attempts("rounds", index)
            report = self.trainer.compute(index, self.ranks.decide(max(known.values(), default=0)))
            if not self.ranks.decide(report.digest() in known):
                self._afresh = set(pending)
                self._restore()
                return []
            self.trainer.apply(report)
            reports.append(report)
        return reports

    def _round(self, index: int) -> RoundReport:
        """One release, charged and journaled by the first rank before any rank uses it."""
        known = self.workspace.attempts("rounds", index)
        first = self.ranks.decide(max(known.values(), default=0) + (index in self._afresh))
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
        """Whether this release may be used. A repeat is free; what is new is charged, then journaled."""
        known = self.workspace.attempts(name, index)
        if digest in known:
            return True
        if attempt in known.values():  # another release under the noise of this attempt
            return False
        self._charge(self.ledger, name, index, attempt)
        self.workspace.record_release(JournalLine(name, index, attempt, digest))
        return True

    def _charge(self, ledger: Ledger, name: str, index: int, attempt: int) -> None:
        """Charge what one release costs; the only place that does."""
        if name == "prior":
            for event in events_of_prior(self.config):
                ledger.charge(event)
        elif (price := self._learner.event(self.config, index, attempt)) is not None:
            ledger.charge(price)

    def _open(self) -> None:
        """Restore the last checkpoint, or release the prior and start."""
        prior, stored = None, self.workspace.load()
        if stored is not None:
            if released := below(stored[0], "prior"):
                prior = self._prior_from(released)
        elif self.config.prior.modes:
            made = self._release_prior().tensors() if self.ranks.first else None
            prior = self._prior_from(self.ranks.share(made))
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
        self._restore()
        self.restarts = stored[1]["restarts"] + 1
        if self.ranks.first:
            self.workspace.check_covers("prior", int(bool(self.config.prior.modes)))
            self.workspace.check_covers("rounds", self.next_round)

    def _restore(self) -> None:
        """Put trainer and history back to the last checkpoint."""
        stored = self.workspace.load()
        assert stored is not None
        tensors, state = stored
        self.snapshots = {int(n): v for n, v in below(tensors, _SNAPSHOT).items()}
        apart = ("prior.", f"{_SNAPSHOT}.")
        self.trainer.load_tensors({n: v for n, v in tensors.items() if not n.startswith(apart)})
        self.next_round, self._seconds_before = state["next_round"], state["seconds"]
        self.public, self.private = state["public"], state["private"]

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
            tensors |= {f"{_SNAPSHOT}.{n}": v for n, v in self.snapshots.items()}
        state = {
            "next_round": self.next_round,
            "public": self.public,
            "private": self.private,
            "seconds": self.seconds,
            "restarts": self.restarts,
        }
        self.workspace.save(tensors or {"empty": torch.zeros(0)}, state)


def make_prior(
    config: ExperimentConfig, data: ImageData, key: str, *, device: torch.device, attempt: int = 0
) -> FrequencyPrior:
    """Release the frequency prior of `config`. The session charges `events_of_prior` before its use."""
    settings, basis = config.prior, prior_basis(config, device)
    images, labels = data.images.to(device), data.labels.to(device)
    shared: dict[str, Any] = {
        "noise_multiplier": config.privacy.prior_noise_multiplier,
        "cells": settings.num_cells,
        "key": f"{key}/prior/{attempt}",
    }
    prior = release_prior(
        *(images, labels),
        num_classes=config.num_classes,
        basis=basis,
        scale=basis.falloff(settings.corner),
        mean_radius=settings.mean_radius,
        covariance_radius=settings.covariance_radius,
        shared_covariance=settings.shared_covariance,
        **shared,
    )
    if settings.num_cells == 1:
        return prior
    directions = settings.directions
    return split_classes(prior, images, labels, directions=directions, seed=config.seed, **shared)
