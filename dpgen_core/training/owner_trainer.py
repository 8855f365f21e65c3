"""The rounds of owner-side error feedback, which is what ``method="efsgd"`` runs.

Joining owners train, clip and remember what the clip cut off; the sum is sanitized and moves the
generator. The guarantee lets out the sequence of sanitized releases and what is computed from them:
the generator, its moving average, `RoundReport.public`. Critics, error memory, coins and
`RoundReport.private` stay inside (`book/privacy.md`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from dpgen_core.data.sets import ImageData
from dpgen_core.losses import annealed, class_statistics
from dpgen_core.mechanism.error_memory import ErrorMemory
from dpgen_core.mechanism.release import rounded, sanitize
from dpgen_core.models.noise_injection import NoiseOfSome
from dpgen_core.streams import HiddenStream, stream
from dpgen_core.training.owners import OwnerEnsemble, assign_shards
from dpgen_core.training.public_side import LearnerBase
from dpgen_core.training.report import RoundReport, round_report
from dpgen_core.training.workspace import below


class OwnerTrainer(LearnerBase):
    """One run of the algorithm in `book/method.md`.

    Constructor arguments are those of `LearnerBase`. With several ranks each holds its own part of
    the owners, and all call the same methods in the same order.
    """

    _private = ("ensemble", "memory")

    def _take(self, data: ImageData) -> None:
        config, privacy = self.config, self.config.privacy
        own = self.ranks.part(privacy.num_shards)
        self._own = slice(own.start, own.stop)
        shards = assign_shards(privacy.num_records, privacy.num_shards, seed=config.seed)
        shards = shards[self._own]  # (K of this rank, n)
        self.ensemble = OwnerEnsemble(
            self.critic,
            self.encode(data.images, shards.flatten()).unflatten(0, shards.shape),
            data.labels[shards].to(self.device),
            config.critic,
            config.contribution,
            num_classes=config.num_classes,
            match_scale=self.basis.falloff(config.contribution.match_corner),
            seed=config.seed,
            members=own,
            total=privacy.num_shards,
        )
        decay = config.contribution.feedback_decay
        self.memory = ErrorMemory(len(own), config.num_classes, self.basis.dim, decay, self.device)

    def warm_up(self) -> None:
        """Train every owner's critic on the untrained generator. Nothing leaves an owner."""
        steps = self.config.critic.warmup_steps
        if not (self.config.privacy.rounds and steps):
            return
        pool, labels = self.pool(-1)
        every = torch.arange(len(self.ensemble.codes), device=self.device)
        for joined in every.split(250):
            self.ensemble.train(joined, pool, labels, steps=steps, round_index=-1)

    def compute(self, round_index: int, attempt: int = 0) -> RoundReport:
        """Everything up to and including the release; see `report.Trainer.compute`."""
        config, privacy = self.config, self.config.privacy
        contribution = config.contribution
        latents, labels = self.latents("round", round_index, contribution.generated_batch)
        codes = self._generate(round_index, latents, labels)  # (B, d)
        joined = self._join(round_index, attempt)
        pool, pool_labels = self.pool(round_index)
        until = contribution.reconstruction_until
        weight = annealed(contribution.reconstruction_weight, round_index, privacy.rounds, until)
        steps = config.critic.steps
        gaps = self.ensemble.train(joined, pool, pool_labels, steps=steps, round_index=round_index)
        public = class_statistics(pool, pool_labels, config.num_classes)
        raw = self.ensemble.answer(joined, codes, labels, public, reconstruction_weight=weight)
        bound, mode = privacy.max_grad_norm, contribution.clip_mode
        clipped, norms = self.memory.feed_back(joined, raw, labels, bound, mode)
        # One rank adds the noise, the others contribute their sums alone.
        sigma = privacy.noise_multiplier if self.ranks.first else 0.0
        source = HiddenStream(self._key, "noise", round_index, attempt)
        noisy = self.ranks.sum(sanitize(clipped, bound, sigma, source))
        wanted, kept = self.ranks.sum(torch.stack([raw.sum(0), clipped.sum(0)])).flatten(1)
        images = contribution.generated_batch if mode == "per-image" else 1
        return round_report(
            rounded(noisy, self.noise_std),
            round_index=round_index,
            noise_std=self.noise_std,
            wanted=wanted,
            kept=kept,
            norms=self.ranks.collect(norms),
            clip_bound=bound / images**0.5,
            critic_gaps=self.ranks.collect(gaps),
            public={"reconstruction_weight": weight},
        )

    def apply(self, report: RoundReport) -> None:
        """Push the release through the generator and take a step. Post-processing."""
        privacy = self.config.privacy
        cohort = privacy.sampling_rate * privacy.num_shards * privacy.max_grad_norm
        self.optimizer.zero_grad(set_to_none=True)
        self._codes.backward(report.release[self._made] / cohort)
        self.share_gradients()
        self.step_generator(report.public["round"])

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes from round to round; whole on the first rank. Private."""
        if not self.config.privacy.rounds:
            return {}
        state: dict[str, Tensor] = {}
        for group in ("params", "first", "second"):
            stacked = getattr(self.ensemble, group)
            state |= {f"{group}.{name}": value for name, value in stacked.items()}
        state |= {"steps": self.ensemble.steps, "residuals": self.memory.residuals}
        whole = {name: self.ranks.collect(value) for name, value in state.items()}
        return self.public_tensors() | whole

    def load_tensors(self, state: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave."""
        if not self.config.privacy.rounds:
            return
        state = {name: value.to(self.device) for name, value in state.items()}
        self.load_public(state)
        for group in ("params", "first", "second"):
            stacked = below(state, group).items()
            setattr(self.ensemble, group, {n: value[self._own].clone() for n, value in stacked})
        self.ensemble.steps = state["steps"][self._own].clone()
        self.memory.residuals = state["residuals"][self._own].clone()

    def _generate(self, round_index: int, latents: Tensor, labels: Tensor) -> Tensor:
        """Codes of the round's images (B, d); each rank makes some and keeps their graph."""
        made = self.ranks.part(len(labels))
        self._made = slice(made.start, made.stop)
        noise = stream(self.config.seed, "injection", round_index, device=self.device)
        some = NoiseOfSome(noise, made, len(labels))
        self._codes = self.codes(latents[self._made], labels[self._made], some)
        return self.ranks.join(self._codes.detach())

    def _join(self, round_index: int, attempt: int) -> Tensor:
        """Each owner joins by a hidden coin: indices among this rank's, (k,)."""
        coins = self.flip_coins(self.config.privacy.num_shards, round_index, attempt)
        return coins[self._own].nonzero()[:, 0].to(self.device)
