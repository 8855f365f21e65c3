"""One critic trained under differential privacy: DP-SGD, or EFSGD with its memory on the server.

The other way to build a private GAN ("Private GANs, revisited", Bie, Kamath & Zhang 2023): no owners, one
public critic whose every step is a release. Everything after the critic, the generator too, is
post-processing. A record is its own shard, so sampler, clip, noise and accountant are those of the rounds:

* ``dp-sgd``: each record joins a step with probability q by a hidden coin; its gradient is clipped to C;
  the sum gets noise sigma C. Exactly DP-SGD (Abadi et al. 2016).
* ``efsgd``: `efsgd.EFSGD` with a memory on the server. Its price is known for a bounded number of
  participations, so batches are public blocks, and the whole run is charged before its first step.

Only the critic's loss on records needs privacy. Fakes and critic are public, so the gradient of the loss on
fakes is added after the noise (ours; DP-SGD on the whole loss would clip and drown both).
"""

from __future__ import annotations

import copy
import warnings

import torch
from opacus import GradSampleModule
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from dpgen_core.data.sets import ImageData
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.mechanism.release import rounded, sanitize
from dpgen_core.mechanism.server_memory import blocks_per_epoch, build_efsgd
from dpgen_core.streams import HiddenStream, stream
from dpgen_core.training.public_side import (
    LearnerBase,
    batches,
    below,
    load_optimizer,
    optimizer_tensors,
)
from dpgen_core.training.report import RoundReport, round_report
from dpgen_core.training.workspace import cpu_state


class CriticTrainer(LearnerBase):
    """Rounds are steps of the critic; after every `critic_steps` of them the generator takes one.

    Constructor arguments are those of `LearnerBase`; ``learner`` is ``dp-sgd`` or ``efsgd``, and there is
    one process: there are no shards to part.
    """

    def _take(self, data: ImageData) -> None:
        config = self.config
        parts = [
            self.basis.encode(data.images[rows].to(self.device)) for _, rows in _rows(data, 4096)
        ]
        self._codes, self._labels = torch.cat(parts), data.labels.to(self.device)  # (N, d), (N,)
        self._wrapped = GradSampleModule(
            copy.deepcopy(self.critic), loss_reduction="sum", strict=True
        )
        self._wrapped.disable_hooks()  # on only where single records' gradients are wanted
        self._weights = [p for p in self._wrapped.parameters() if p.requires_grad]
        self.critic_optimizer = torch.optim.Adam(
            self._weights, lr=config.critic.learning_rate, betas=(0.5, 0.99)
        )
        self._fakes: tuple[int, tuple[Tensor, Tensor]] | None = None  # number of the pool, pool
        self.feedback = (
            build_efsgd(
                self._weights,
                noise_multiplier=config.privacy.noise_multiplier,
                num_records=config.privacy.num_records,
                sampling_rate=config.privacy.sampling_rate,
                max_grad_norm=config.privacy.max_grad_norm,
                memory=config.contribution.feedback_decay > 0,
            )
            if config.privacy.learner == "efsgd"
            else None
        )

    def warm_up(self) -> None:
        """Nothing: every step of this critic is a release."""

    def compute(self, round_index: int, attempt: int = 0) -> RoundReport:
        """The sanitized sum of the joining records' gradients, (P,).

        Args:
            round_index: 0-based.
            attempt: see `report.Trainer.compute`.
        """
        config = self.config
        joined = self._join(round_index, attempt)
        gradients = self._gradients(joined)  # (n, P)
        kept, norms = clip_rows(gradients, config.privacy.max_grad_norm)
        if self.feedback is None:
            noisy = sanitize(
                kept[:, None, :],
                config.privacy.max_grad_norm,
                config.privacy.noise_multiplier,
                HiddenStream(self._key, "noise", round_index, attempt),
            )
            release = rounded(
                noisy[0], config.privacy.noise_multiplier * config.privacy.max_grad_norm
            )
        else:
            # The key is public where this is allowed at all: see `config`.
            self.feedback.generator = stream(self._key, "noise", round_index, attempt)
            release = self.feedback.release(gradients) * self.feedback.expected_batch_size
        wanted, meant = gradients.sum(0), kept.sum(0)
        return round_report(
            release,
            number=round_index + 1,
            noise_std=config.privacy.noise_multiplier * config.privacy.max_grad_norm,
            wanted=wanted,
            kept=meant,
            norms=norms,
            joined=len(joined),
            clip_bound=config.privacy.max_grad_norm,
        )

    def apply(self, report: RoundReport) -> None:
        """Step of the critic, and now and then of the generator. Post-processing."""
        config, number = self.config, int(report.public["round"])
        expected = config.privacy.sampling_rate * config.privacy.num_records
        codes, labels = self._pool_of(number - 1)
        self._zero()
        with torch.enable_grad():
            fake_loss = F.softplus(self._score(codes, labels)).mean()
            by_fakes = torch.autograd.grad(fake_loss, self._weights)
        start = 0
        for p, public in zip(self._weights, by_fakes, strict=True):
            by_records = report.release[start : start + p.numel()].view_as(p)
            p.grad = by_records / expected + public
            start += p.numel()
        self.critic_optimizer.step()
        if number % config.critic.steps == 0:
            self._step_generator(number)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes from round to round, for a checkpoint."""
        state = self.public_tensors() | cpu_state(self._wrapped._module, "critic")
        state |= optimizer_tensors(self.critic_optimizer, "critic_optimizer")
        if self.feedback is not None:
            state |= optimizer_tensors(self.feedback, "feedback")
        return state

    def load_tensors(self, state: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave."""
        state = {name: value.to(self.device) for name, value in state.items()}
        self.load_public(state)
        self._fakes = None
        self._wrapped._module.load_state_dict(below(state, "critic"))
        load_optimizer(self.critic_optimizer, below(state, "critic_optimizer"))
        if self.feedback is not None:
            load_optimizer(self.feedback, below(state, "feedback"))

    def _pool_of(self, round_index: int) -> tuple[Tensor, Tensor]:
        """The fakes a step judges. The generator moves every `critic_steps` rounds, so they may be kept."""
        if not self.config.critic.keep_pool:
            return self.pool(round_index)
        number = round_index // self.config.critic.steps
        if self._fakes is None or self._fakes[0] != number:
            self._fakes = (number, self.pool(number))
        return self._fakes[1]

    def _step_generator(self, number: int) -> None:
        config = self.config
        latents, labels = self.latents("generator", number, config.critic.fake_pool)
        noise = stream(config.seed, "injection", number, device=self.device)
        codes = self.codes(latents, labels, noise)
        self.optimizer.zero_grad(set_to_none=True)
        F.softplus(-self._score(codes, labels)).mean().backward()
        self._zero()
        self.step_generator(number)

    def _score(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Scores (n,) of public codes, past the hooks that make single records' gradients."""
        weights = dict(self._wrapped._module.named_parameters())
        return functional_call(self.critic, weights, (codes, labels))

    def _gradients(self, joined: Tensor) -> Tensor:
        """Each joining record's gradient of its loss softplus(-score), (n, P)."""
        size = sum(p.numel() for p in self._weights)
        parts = [self._codes.new_zeros(0, size)]
        self._wrapped.enable_hooks()
        for _, rows in batches(joined, 512):
            self._zero()
            scores = self._wrapped(self._codes[rows], self._labels[rows])
            with warnings.catch_warnings():
                # Labels are integers and need no gradient; the hooks want the outputs' alone.
                warnings.filterwarnings("ignore", message="Full backward hook is firing")
                F.softplus(-scores).sum().backward()
            parts.append(torch.cat([p.grad_sample.flatten(1) for p in self._weights], dim=1))
        self._wrapped.disable_hooks()
        self._zero()
        return torch.cat(parts)

    def _zero(self) -> None:
        for p in self._weights:
            p.grad, p.grad_sample = None, None  # type: ignore[attr-defined]

    def _join(self, round_index: int, attempt: int) -> Tensor:
        """Records of the step: hidden coins, or for EFSGD the next block of a public order."""
        config = self.config
        if self.feedback is None:
            coins = HiddenStream(self._key, "coins", round_index, attempt)
            joins = coins.uniform(config.privacy.num_records) < config.privacy.sampling_rate
            return joins.nonzero()[:, 0].to(self.device)
        blocks = blocks_per_epoch(config.privacy.sampling_rate)
        epoch, block = divmod(round_index, blocks)
        order = torch.randperm(
            config.privacy.num_records, generator=stream(config.seed, "epoch", epoch)
        )
        return order[block::blocks].to(self.device)


def _rows(data: ImageData, size: int) -> list[tuple[int, Tensor]]:
    every = torch.arange(len(data.images))
    return list(batches(every, size))
