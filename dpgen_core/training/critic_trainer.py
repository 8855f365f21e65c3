"""One public critic whose every step is a release: DP-SGD, or EFSGD with its memory on the server.

The other way to build a private GAN (Bie, Kamath & Zhang 2023, "Private GANs, revisited"): there
are no owners, and all that follows a step of the critic, the generator too, is post-processing. A
record is its own shard, so sampler, clip, noise and accountant are those of `owner_trainer`.

Only the critic's loss on records needs privacy. Fakes and critic are public, so the gradient of the
loss on fakes is added after the noise (ours; DP-SGD on the whole loss would clip and drown both).
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from dpgen_core.data.sets import ImageData
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.mechanism.release import rounded, sanitize
from dpgen_core.mechanism.server_memory import blocks_per_epoch, build_efsgd
from dpgen_core.streams import HiddenStream, stream
from dpgen_core.training.public_side import LearnerBase, load_optimizer, optimizer_tensors
from dpgen_core.training.report import RoundReport, round_report
from dpgen_core.training.workspace import below, cpu_state


class CriticTrainer(LearnerBase):
    """Rounds are steps of the critic; after every `critic_steps` of them the generator takes one.

    A subclass says which records join a step and how their gradients are released. Constructor
    arguments are those of `LearnerBase`; there is one process, as there are no shards to part.
    """

    _private = ("_codes", "_labels", "_optimizers", "feedback")

    def _take(self, data: ImageData) -> None:
        from opacus import GradSampleModule  # slow to import, and no other learner needs it

        self._codes = self.encode(data.images, torch.arange(len(data.images)))  # (N, d)
        self._labels = data.labels.to(self.device)  # (N,)
        critic = copy.deepcopy(self.critic)
        self._wrapped = GradSampleModule(critic, loss_reduction="sum", strict=True)
        self._wrapped.disable_hooks()  # on only where single records' gradients are wanted
        self._weights = [p for p in self._wrapped.parameters() if p.requires_grad]
        rate = self.config.critic.learning_rate
        adam: torch.optim.Optimizer = torch.optim.Adam(self._weights, rate, betas=(0.5, 0.99))
        self._optimizers = {"critic_optimizer": adam}  # by name in a checkpoint
        self._pools: dict[int, tuple[Tensor, Tensor]] = {}  # the last one, by number

    def warm_up(self) -> None:
        """Nothing: every step of this critic is a release."""

    def compute(self, round_index: int, attempt: int = 0) -> RoundReport:
        """Release the sum of the joining records' gradients (P,); see `report.Trainer.compute`."""
        bound = self.config.privacy.max_grad_norm
        gradients = self._gradients(self._join(round_index, attempt))  # (n, P)
        clipped, norms = clip_rows(gradients, bound)
        return round_report(
            self._release(gradients, clipped, round_index, attempt),
            round_index=round_index,
            noise_std=self.noise_std,
            wanted=gradients.sum(0),
            kept=clipped.sum(0),
            norms=norms,
            clip_bound=bound,
        )

    def apply(self, report: RoundReport) -> None:
        """Step of the critic, and now and then of the generator. Post-processing."""
        privacy, number = self.config.privacy, int(report.public["round"])
        expected = privacy.sampling_rate * privacy.num_records
        self._zero()
        with torch.enable_grad():
            fake_loss = F.softplus(self._score(*self._pool_of(number - 1))).mean()
            by_fakes = torch.autograd.grad(fake_loss, self._weights)
        by_records = report.release.split([p.numel() for p in self._weights])
        for p, private, public in zip(self._weights, by_records, by_fakes, strict=True):
            p.grad = private.view_as(p) / expected + public
        self._optimizers["critic_optimizer"].step()
        if number % self.config.critic.steps == 0:
            self._step_generator(number)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes from round to round, for a checkpoint."""
        state = self.public_tensors() | cpu_state(self._wrapped._module, "critic")
        for name, optimizer in self._optimizers.items():
            state |= optimizer_tensors(optimizer, name)
        return state

    def load_tensors(self, state: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave."""
        state = {name: value.to(self.device) for name, value in state.items()}
        self.load_public(state)
        self._pools = {}
        self._wrapped._module.load_state_dict(below(state, "critic"))
        for name, optimizer in self._optimizers.items():
            load_optimizer(optimizer, below(state, name))

    def _join(self, round_index: int, attempt: int) -> Tensor:
        """Indices of the records that join the step, (n,)."""
        raise NotImplementedError

    def _release(self, gradients: Tensor, clipped: Tensor, index: int, attempt: int) -> Tensor:
        """The noisy sum (P,) of the joining records' gradients (n, P); `clipped` has norms <= C."""
        raise NotImplementedError

    def _pool_of(self, round_index: int) -> tuple[Tensor, Tensor]:
        """The fakes that a step judges: one pool per round, or per step of the generator."""
        if not self.config.critic.keep_pool:
            return self.pool(round_index)
        number = round_index // self.config.critic.steps
        if number not in self._pools:
            self._pools = {number: self.pool(number)}
        return self._pools[number]

    def _step_generator(self, number: int) -> None:
        latents, labels = self.latents("generator", number, self.config.critic.fake_pool)
        noise = stream(self.config.seed, "injection", number, device=self.device)
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
        parts = [self._codes.new_zeros(0, sum(p.numel() for p in self._weights))]
        self._wrapped.enable_hooks()
        for rows in joined.split(512) if len(joined) else ():
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


class DPSGDCriticTrainer(CriticTrainer):
    """DP-SGD (Abadi et al. 2016): records join by hidden coins, and the clipped sum gets noise."""

    def _join(self, round_index: int, attempt: int) -> Tensor:
        coins = self.flip_coins(self.config.privacy.num_records, round_index, attempt)
        return coins.nonzero()[:, 0].to(self.device)

    def _release(self, gradients: Tensor, clipped: Tensor, index: int, attempt: int) -> Tensor:
        privacy = self.config.privacy
        source = HiddenStream(self._key, "noise", index, attempt)
        bound, sigma = privacy.max_grad_norm, privacy.noise_multiplier
        return rounded(sanitize(clipped[:, None], bound, sigma, source)[0], self.noise_std)


class EFSGDCriticTrainer(CriticTrainer):
    """`EFSGD` with one memory on the server, which is what ``method="efsgd-critic"`` runs.

    Its price is known for a bounded number of participations, so batches are public blocks, and the
    whole run is charged before its first step.
    """

    def _take(self, data: ImageData) -> None:
        super()._take(data)
        privacy = self.config.privacy
        self.feedback = build_efsgd(
            self._weights,
            noise_multiplier=privacy.noise_multiplier,
            num_records=privacy.num_records,
            sampling_rate=privacy.sampling_rate,
            max_grad_norm=privacy.max_grad_norm,
            memory=self.config.contribution.feedback_decay > 0,
        )
        self._optimizers["feedback"] = self.feedback

    def _join(self, round_index: int, attempt: int) -> Tensor:
        """The next block of the epoch's public order."""
        privacy = self.config.privacy
        blocks = blocks_per_epoch(privacy.sampling_rate)
        epoch, block = divmod(round_index, blocks)
        generator = stream(self.config.seed, "epoch", epoch)
        order = torch.randperm(privacy.num_records, generator=generator)
        return order[block::blocks].to(self.device)

    def _release(self, gradients: Tensor, clipped: Tensor, index: int, attempt: int) -> Tensor:
        """EFSGD clips for itself. Its noise key is public: `config.budget` refuses a secret one."""
        self.feedback.generator = stream(self._key, "noise", index, attempt)
        return self.feedback.release(gradients) * self.feedback.expected_batch_size
