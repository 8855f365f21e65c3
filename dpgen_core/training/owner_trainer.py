"""The rounds: train the joining shards, clip, remember, sanitize, step the generator.

`OwnerTrainer` holds everything a run is made of. What the theorem allows out is the sequence of
sanitized releases and what is computed from them: the generator, its moving average, `RoundReport.public`.
Critics, memory, coins and `RoundReport.private` stay inside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dpgen_core.data.sets import ImageData
from dpgen_core.losses import annealed, class_statistics
from dpgen_core.mechanism.error_memory import ErrorMemory
from dpgen_core.mechanism.release import rounded, sanitize
from dpgen_core.models.generators import NoiseOfSome
from dpgen_core.streams import HiddenStream, stream
from dpgen_core.training.owners import OwnerEnsemble, OwnerSettings, assign_shards
from dpgen_core.training.public_side import LearnerBase, batches, below
from dpgen_core.training.report import RoundReport, round_report


class OwnerTrainer(LearnerBase):
    """One run of the mechanism of design section 3.

    Constructor arguments are those of `LearnerBase`. With several ranks each holds its own part of the
    owners, and all call the same methods in the same order.

    The trainer charges nothing: the caller charges a release before it lets `apply` use it.
    """

    def _take(self, data: ImageData) -> None:
        config = self.config
        self._own = self.ranks.part(config.privacy.num_shards)
        shards = assign_shards(
            config.privacy.num_records, config.privacy.num_shards, seed=config.seed
        )
        shards = shards[self._own.start : self._own.stop]  # (K of this rank, n)
        self.ensemble = OwnerEnsemble(
            self.critic,
            self._encode_shards(data.images, shards),
            data.labels[shards].to(self.device),
            OwnerSettings(
                num_classes=config.num_classes,
                batch=config.critic.batch_size,
                learning_rate=config.critic.learning_rate,
                gradient_penalty=config.critic.gradient_penalty,
                adversarial_weight=config.contribution.adversarial_weight,
                classifier_weight=config.contribution.classifier_weight,
                match_scale=self.basis.falloff(config.contribution.match_corner),
            ),
            seed=config.seed,
            members=self._own,
            total=config.privacy.num_shards,
        )
        self.memory = ErrorMemory(
            len(self._own),
            config.num_classes,
            self.basis.dim,
            config.contribution.feedback_decay,
            self.device,
        )

    def warm_up(self) -> None:
        """Train every shard's critic on the untrained generator. Owner-side: nothing leaves."""
        if not (self.config.privacy.rounds and self.config.critic.warmup_steps):
            return
        pool, labels = self.pool(-1)
        every = torch.arange(len(self._own), device=self.device)
        for _, joined in batches(every, 250):
            steps = self.config.critic.warmup_steps
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
        latents, labels = self.latents("round", round_index, config.contribution.generated_batch)
        codes = self._generate(round_index, latents, labels)  # (B, d)
        joined = self._join(round_index, attempt)
        pool, pool_labels = self.pool(round_index)
        weight = annealed(
            config.contribution.reconstruction_weight,
            round_index,
            config.privacy.rounds,
            config.contribution.reconstruction_until,
        )
        gaps = self.ensemble.train(
            joined,
            pool,
            pool_labels,
            steps=config.critic.steps,
            round_index=round_index,
        )
        public = class_statistics(pool, pool_labels, config.num_classes)
        raw = self.ensemble.answer(joined, codes, labels, public, reconstruction_weight=weight)
        clipped, norms = self.memory.feed_back(
            joined, raw, labels, config.privacy.max_grad_norm, config.contribution.clip_mode
        )
        first = self.ranks.first  # one rank adds the noise, the others their sums alone
        release = sanitize(
            clipped,
            config.privacy.max_grad_norm,
            config.privacy.noise_multiplier if first else 0.0,
            HiddenStream(self._key, "noise", round_index, attempt),
        )
        std = config.privacy.noise_multiplier * config.privacy.max_grad_norm
        release = rounded(self.ranks.sum(release), std)
        wanted, kept = self.ranks.sum(torch.stack([raw.sum(0), clipped.sum(0)])).flatten(1)
        norms, gaps = self.ranks.collect(norms), self.ranks.collect(gaps)
        return round_report(
            release,
            number=round_index + 1,
            noise_std=std,
            wanted=wanted,
            kept=kept,
            norms=norms,
            joined=len(norms),
            clip_bound=self._clip_bound,
            critic_gaps=gaps,
            public={"reconstruction_weight": weight},
        )

    def apply(self, report: RoundReport) -> None:
        """Step 6: post-processing. Push the release through the generator and take a step."""
        config = self.config
        cohort = (
            config.privacy.sampling_rate * config.privacy.num_shards * config.privacy.max_grad_norm
        )
        self.optimizer.zero_grad(set_to_none=True)
        ours = report.release[self._made.start : self._made.stop]
        self._codes.backward(ours / cohort)
        self.share_gradients()
        self.step_generator(report.public["round"])

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes from round to round; whole on the first rank. Private."""
        if not self.config.privacy.rounds:
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
        if not self.config.privacy.rounds:
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
        images = (
            config.contribution.generated_batch
            if config.contribution.clip_mode == "per-image"
            else 1
        )
        return config.privacy.max_grad_norm / images**0.5

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
        coins = source.uniform(self.config.privacy.num_shards)[self._own.start : self._own.stop]
        return (coins < self.config.privacy.sampling_rate).nonzero()[:, 0].to(self.device)
