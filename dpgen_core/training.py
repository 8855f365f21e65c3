"""The rounds: train the joining shards, clip, remember, sanitize, step the generator.

`Trainer` holds everything a run is made of. What the theorem allows out is the sequence of
sanitized releases and what is computed from them: the generator, its moving average, `RoundReport.public`.
Critics, memory, coins and `RoundReport.private` stay inside.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dpgen_core.accounting import SampledGaussianEvent
from dpgen_core.config import ExperimentConfig
from dpgen_core.data import ImageData
from dpgen_core.dp_critic import CriticTrainer
from dpgen_core.efsgd import ErrorMemory, sanitize
from dpgen_core.generation import PublicSide, batches, below, prior_basis
from dpgen_core.losses import annealed, class_statistics
from dpgen_core.mixture import split_classes
from dpgen_core.models import NoiseOfSome
from dpgen_core.prior import FrequencyPrior, release_prior
from dpgen_core.release import RoundReport, rounded
from dpgen_core.shards import OwnerSettings, ShardEnsemble, assign_shards
from dpgen_core.spread import ALONE, Ranks
from dpgen_core.streams import HiddenStream, secret_key, stream


class Trainer(PublicSide):
    """One run of the mechanism of design section 3.

    Args:
        config: every setting; the only place sigma, q, T, C and K come from.
        data: the private records.
        key: secret key of coins and noise (`streams.secret_key`).
        device: where to train.
        prior: the released prior, when the method has one (`make_prior`).
        ranks: the processes that share the run; each holds its own part of the shards, and all call the
            same methods in the same order.

    The trainer charges nothing: the caller charges a release before it lets `apply` use it.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        data: ImageData,
        key: str,
        *,
        device: torch.device,
        prior: FrequencyPrior | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__(config, device=device, prior=prior, ranks=ranks)
        self._key = key
        images, labels = data.images, data.labels
        if not config.rounds:
            return
        self._own = ranks.part(config.num_shards)
        shards = assign_shards(config.num_records, config.num_shards, seed=config.seed)
        shards = shards[self._own.start : self._own.stop]  # (K of this rank, n)
        self.ensemble = ShardEnsemble(
            self.critic,
            self._encode_shards(images, shards),
            labels[shards].to(device),
            OwnerSettings(
                num_classes=config.num_classes,
                batch=config.critic_batch,
                learning_rate=config.critic_learning_rate,
                gradient_penalty=config.gradient_penalty,
                adversarial_weight=config.adversarial_weight,
                classifier_weight=config.classifier_weight,
                match_scale=self.basis.falloff(config.match_corner),
            ),
            seed=config.seed,
            members=self._own,
            total=config.num_shards,
        )
        self.memory = ErrorMemory(
            len(self._own),
            config.num_classes,
            self.basis.dim,
            config.feedback_decay,
            device,
        )

    def warm_up(self) -> None:
        """Train every shard's critic on the untrained generator. Owner-side: nothing leaves."""
        if not (self.config.rounds and self.config.critic_warmup_steps):
            return
        pool, labels = self.pool(-1)
        every = torch.arange(len(self._own), device=self.device)
        for _, joined in batches(every, 250):
            steps = self.config.critic_warmup_steps
            self.ensemble.train(joined, pool, labels, steps=steps, round_index=-1)

    def compute(self, round_index: int, attempt: int = 0) -> RoundReport:
        """Steps 1 to 5 of round t: everything up to and including the release.

        Args:
            round_index: t, 0-based.
            attempt: 0, or more when a resumed run could not repeat a release bit for bit; coins and
                noise are then drawn afresh.

        Returns:
            The report. The release must be charged before it is passed to `apply`.
        """
        config = self.config
        latents, labels = self.latents("round", round_index, config.generated_batch)
        codes = self._generate(round_index, latents, labels)  # (B, d)
        joined = self._join(round_index, attempt)
        pool, pool_labels = self.pool(round_index)
        weight = annealed(
            config.reconstruction_weight, round_index, config.rounds, config.reconstruction_until
        )
        gaps = self.ensemble.train(
            joined,
            pool,
            pool_labels,
            steps=config.critic_steps,
            round_index=round_index,
        )
        public = class_statistics(pool, pool_labels, config.num_classes)
        raw = self.ensemble.answer(joined, codes, labels, public, reconstruction_weight=weight)
        clipped, norms = self.memory.feed_back(
            joined, raw, labels, config.max_grad_norm, config.clip_mode
        )
        noisy = self.ranks.first  # one rank adds the noise, the others their sums alone
        release = sanitize(
            clipped,
            config.max_grad_norm,
            config.noise_multiplier if noisy else 0.0,
            HiddenStream(self._key, "noise", round_index, attempt),
        )
        std = config.noise_multiplier * config.max_grad_norm
        release = rounded(self.ranks.sum(release), std)
        wanted, kept = self.ranks.sum(torch.stack([raw.sum(0), clipped.sum(0)])).flatten(1)
        norms, gaps = self.ranks.collect(norms), self.ranks.collect(gaps)
        return RoundReport(
            release=release,
            public={
                "round": round_index + 1,
                "release_norm": float(release.norm()),
                "noise_norm_expected": std * release.numel() ** 0.5,
                "reconstruction_weight": weight,
            },
            private={
                "round": round_index + 1,
                "joined": len(norms),
                "critic_gap": _mean(gaps),
                "norm_mean": _mean(norms),
                "norm_spread": float(norms.std() / norms.mean()) if norms.numel() > 1 else 0.0,
                "clipped_share": _mean((norms > self._clip_bound).to(norms)),
                "clip_cosine": float(torch.cosine_similarity(wanted, kept, dim=0)),
                "signal_norm": float(kept.norm()),
            },
        )

    def apply(self, report: RoundReport) -> None:
        """Step 6: post-processing. Push the release through the generator and take a step."""
        config = self.config
        cohort = config.sampling_rate * config.num_shards * config.max_grad_norm
        self.optimizer.zero_grad(set_to_none=True)
        ours = report.release[self._made.start : self._made.stop]
        self._codes.backward(ours / cohort)
        self.share_gradients()
        self.step_generator(report.public["round"])

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes from round to round; whole on the first rank. Private."""
        if not self.config.rounds:
            return {}
        public = self.public_tensors()
        state = dict(public)
        for group in ("params", "first", "second"):
            stacked = getattr(self.ensemble, group)
            state |= {f"{group}.{name}": value for name, value in stacked.items()}
        state |= {"steps": self.ensemble.steps, "residuals": self.memory.residuals}
        return {
            name: value if name in public else self.ranks.collect(value)
            for name, value in state.items()
        }

    def load_tensors(self, state: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave."""
        if not self.config.rounds:
            return
        state = {name: value.to(self.device) for name, value in state.items()}
        self.load_public(state)
        own = slice(self._own.start, self._own.stop)
        for group in ("params", "first", "second"):
            stacked = {name: value[own].clone() for name, value in below(state, group).items()}
            setattr(self.ensemble, group, stacked)
        self.ensemble.steps = state["steps"][own].clone()
        self.memory.residuals = state["residuals"][own].clone()

    def _generate(self, round_index: int, latents: Tensor, labels: Tensor) -> Tensor:
        """Codes of the round's images (B, d); each rank makes some, and keeps how they came about."""
        self._made = self.ranks.part(len(labels))
        rows = slice(self._made.start, self._made.stop)
        noise = stream(self.config.seed, "injection", round_index, device=self.device)
        some = NoiseOfSome(noise, self._made, len(labels))
        self._codes = self.codes(latents[rows], labels[rows], some)  # (B of this rank, d)
        return self.ranks.join(self._codes.detach())

    @property
    def _clip_bound(self) -> float:
        """The bound that each entry of `norms` was clipped to."""
        config = self.config
        images = config.generated_batch if config.clip_mode == "per-image" else 1
        return config.max_grad_norm / images**0.5

    def _encode_shards(self, images: Tensor, shards: Tensor) -> Tensor:
        flat = torch.cat(
            [
                self.basis.encode(images[b].to(self.device))
                for _, b in batches(shards.flatten(), 4096)
            ]
        )
        return flat.reshape(*shards.shape, -1)  # (K, n, d)

    def _join(self, round_index: int, attempt: int) -> Tensor:
        """Poisson sampling: each shard flips its own hidden coin. Indices among this rank's, (k,)."""
        source = HiddenStream(self._key, "coins", round_index, attempt)
        coins = source.uniform(self.config.num_shards)[self._own.start : self._own.stop]
        return (coins < self.config.sampling_rate).nonzero()[:, 0].to(self.device)


def round_event(config: ExperimentConfig) -> SampledGaussianEvent:
    """The ledger event of one round; reads the fields that sampler and noise read."""
    return SampledGaussianEvent("rounds", config.noise_multiplier, config.sampling_rate)


def make_prior(
    config: ExperimentConfig, data: ImageData, key: str, *, device: torch.device, attempt: int = 0
) -> FrequencyPrior:
    """Release the frequency prior of `config`. The caller charges `prior.prior_events` first."""
    basis = prior_basis(config, device)
    images, labels = data.images.to(device), data.labels.to(device)
    shared: dict[str, Any] = {
        "noise_multiplier": config.prior_noise_multiplier,
        "cells": config.prior_cells,
        "key": f"{key}/prior/{attempt}",
    }
    prior = release_prior(
        images,
        labels,
        num_classes=config.num_classes,
        basis=basis,
        scale=basis.falloff(config.prior_corner),
        mean_radius=config.prior_mean_radius,
        covariance_radius=config.prior_covariance_radius,
        shared_covariance=config.prior_shared_covariance,
        **shared,
    )
    if config.prior_cells == 1:
        return prior
    return split_classes(
        prior,
        images,
        labels,
        rank=config.prior_rank,
        seed=config.seed,
        **shared,
    )


def trainer_kind(config: ExperimentConfig) -> type[Trainer] | type[CriticTrainer]:
    """Who learns: owners with a critic each, or one critic. Either is built and called alike."""
    return Trainer if config.learner == "owners" else CriticTrainer


def train_alone(
    config: ExperimentConfig, data: ImageData, *, device: torch.device
) -> Trainer | CriticTrainer:
    """All rounds of `config` without ledger, journal or checkpoints: for audits and tuning only."""
    key = secret_key(config.noise_source, config.seed)
    prior = make_prior(config, data, key, device=device) if config.prior_modes else None
    trainer = trainer_kind(config)(config, data, key, device=device, prior=prior)
    trainer.warm_up()
    for index in range(config.rounds):
        trainer.apply(trainer.compute(index))
    return trainer


def _mean(values: Tensor) -> float:
    return float(values.mean()) if values.numel() else 0.0
