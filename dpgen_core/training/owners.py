"""The ensemble of data owners: private critics on disjoint shards, trained in one batched call.

A shard is a data owner. Its critic, optimizer state, classifier and error memory are private state
that never leaves it; the only thing that does is a contribution of norm at most C (design
section 3). All joining shards train and answer together: parameters are stacked along a leading
shard axis and `torch.func.vmap` runs them as batched matrix products. Nothing a shard computes
depends on another shard's records.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from dpgen_core.checks import check_int, require
from dpgen_core.losses import (
    adversarial_loss,
    classification_loss,
    gradient_penalty,
    matched_target,
    reconstruction_loss,
    wasserstein_loss,
)
from dpgen_core.models.critics import ConvCritic, Critic, MLPCritic
from dpgen_core.models.mlp_gradients import (
    Params,
    classifier_gradients,
    wgan_gp_gradients,
)
from dpgen_core.streams import stream
from dpgen_core.training.threads import parted, side_by_side

Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # records, fakes, labels, mixing weights; by shard
# Convolutions are differentiated by the framework; on a CPU so many owners at once, as what they remember
# on the way then stays in the cache.
_AT_ONCE = 10


def assign_shards(num_records: int, num_shards: int, *, seed: int) -> Tensor:
    """Split records 0..N-1 into K disjoint shards of equal size by a public permutation.

    Args:
        num_records: N.
        num_shards: K <= N. The N mod K records left over are not used by the rounds; which ones is
            decided by the public permutation, so this reveals nothing.
        seed: public seed.

    Returns:
        Record indices (K, N // K).

    Raises:
        InvalidArgument: K > N.
    """
    check_int("num_records", num_records, low=1, fix="num_records=60000")
    check_int("num_shards", num_shards, low=1, high=num_records, fix="num_shards=1000")
    size = num_records // num_shards
    order = torch.randperm(num_records, generator=stream(seed, "shards"))
    return order[: num_shards * size].reshape(num_shards, size)


@dataclass(frozen=True)
class OwnerSettings:
    """What a data owner does when it joins. Public constants; see `ExperimentConfig`."""

    num_classes: int
    batch: int
    learning_rate: float
    gradient_penalty: float
    adversarial_weight: float
    classifier_weight: float
    match_scale: Tensor  # public scale per mode of `matched_target`, (d,)
    betas: tuple[float, float] = (0.5, 0.9)


class OwnerEnsemble:
    """K private critics with their records, stacked along a leading axis.

    Args:
        critic: the architecture, initialized from the public seed; every shard starts from it.
        codes: private records' codes, (K, n, d).
        labels: private labels, (K, n).
        settings: what an owner does when it joins.
        seed: key of the owners' batch draws, one stream per (round, step).
        members: which of all the shards these are, when other processes hold the rest.
        total: how many shards there are in all; by default these.
    """

    def __init__(
        self,
        critic: Critic,
        codes: Tensor,
        labels: Tensor,
        settings: OwnerSettings,
        *,
        seed: int,
        members: range | None = None,
        total: int | None = None,
    ) -> None:
        require(codes.shape[:2] == labels.shape, "labels", tuple(labels.shape), "(K, n)", "(K, n)")
        self.codes, self.labels, self.settings, self._seed = codes, labels, settings, seed
        self._critic = critic
        num_shards = len(codes)
        self._members, self._total = members or range(num_shards), total or num_shards
        single, _ = stack_module_state([critic])
        self.params: Params = {
            name: value.detach().repeat(num_shards, *[1] * (value.dim() - 1)).to(codes.device)
            for name, value in single.items()
        }
        self.first = {name: torch.zeros_like(value) for name, value in self.params.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.params.items()}
        self.steps = torch.zeros(num_shards, device=codes.device)  # Adam steps taken, per shard

    @property
    def num_shards(self) -> int:
        """K, or this process's part of it."""
        return len(self.codes)

    def train(
        self, joined: Tensor, fake: Tensor, fake_labels: Tensor, *, steps: int, round_index: int
    ) -> Tensor:
        """Train the joining shards' critics on their own records against public fakes.

        Args:
            joined: indices of the joining shards (k,).
            fake: public pool of generated codes (F, d).
            fake_labels: their labels (F,).
            steps: critic steps per shard.
            round_index: names the owners' random streams.

        Returns:
            The last critic loss of each joining shard (k,); private.
        """
        if not len(joined):
            return torch.zeros(0, device=self.codes.device)
        by_label = _pool_by_label(fake_labels, self.settings.num_classes)
        draws = [self._draw(round_index, step, joined) for step in range(steps)]

        def work(part: slice) -> Tensor:
            ours = [(pick[part], fakes[part], mix[part]) for pick, fakes, mix in draws]
            return self._train(joined[part], ours, fake, by_label)

        return torch.cat(side_by_side(work, self._parts(len(joined))))

    def answer(
        self,
        joined: Tensor,
        codes: Tensor,
        labels: Tensor,
        public: tuple[Tensor, Tensor],
        *,
        reconstruction_weight: float,
    ) -> Tensor:
        """The joining shards' gradients u_k[b] with respect to the public images.

        Args:
            joined: indices of the joining shards (k,).
            codes: the generated images' codes (B, d).
            labels: their public labels (B,).
            public: class means and spreads of public generated codes (`class_statistics`).
            reconstruction_weight: lambda_rec of this round.

        Returns:
            u, (k, B, d): the gradient of adversarial + reconstruction + classifier loss. Private
            until it is clipped, summed and noised.
        """
        if not len(joined):
            return codes.new_zeros(0, *codes.shape)

        def loss(x: Tensor, params: Params, records: Tensor, record_labels: Tensor) -> Tensor:
            total = x.sum() * 0.0
            weights = self.settings
            if weights.adversarial_weight:
                total = total + weights.adversarial_weight * adversarial_loss(
                    lambda c, y: functional_call(self._critic, params, (c, y)), x, labels
                )
            if reconstruction_weight:
                targets, mask = matched_target(
                    codes, labels, public, records, record_labels, weights.match_scale
                )
                total = total + reconstruction_weight * reconstruction_loss(x, targets, mask)
            if weights.classifier_weight:
                logits = _classify(self._critic, params, x)
                total = total + weights.classifier_weight * classification_loss(logits, labels)
            return total

        params = {name: value[joined] for name, value in self.params.items()}
        batched = vmap(grad(loss), in_dims=(None, 0, 0, 0))
        return batched(codes, params, self.codes[joined], self.labels[joined])  # (k, B, d)

    def _parts(self, count: int) -> list[slice]:
        """The joining shards in parts to be trained side by side; a GPU takes all at once.

        Convolutions come in small parts: what they remember on the way then stays in the cache.
        """
        if self.codes.device.type != "cpu":
            return [slice(0, count)]
        number = min(torch.get_num_threads(), count)
        if isinstance(self._critic, ConvCritic):
            number = max(number, -(-count // _AT_ONCE))
        return [slice(part.start, part.stop) for part in parted(count, number)]

    @torch.no_grad()  # `torch.func.grad` still differentiates; nothing leads back to the fakes
    def _train(
        self,
        joined: Tensor,
        draws: list[tuple[Tensor, Tensor, Tensor]],
        fake: Tensor,
        by_label: tuple[Tensor, Tensor],
    ) -> Tensor:
        """`train` for some of the joining shards, a step for each of `draws`."""
        own, own_labels = self.codes[joined], self.labels[joined]  # (k, n, d), (k, n)
        alone = len(joined) == 1  # then its state is a view, with nothing to write back
        where = slice(int(joined), int(joined) + 1) if alone else joined
        state = [{name: value[where] for name, value in group.items()} for group in self._groups()]
        count, (pool, size) = self.steps[joined], by_label
        rows = torch.arange(len(joined), device=joined.device)[:, None]
        losses = torch.zeros(len(joined), device=self.codes.device)
        # `functional_call` puts parameters into the critic it is given: no two threads may share one.
        written_out = isinstance(self._critic, MLPCritic)
        critic = self._critic if written_out else copy.deepcopy(self._critic)
        for pick, pick_fake, mix in draws:
            real, labels = own[rows, pick], own_labels[rows, pick]  # (k, b, d), (k, b)
            slot = (pick_fake * size[labels]).long()  # a fake of the same label as the real record
            against = fake[pool[labels, slot]]  # (k, b, d)
            batch = (real, against, labels, mix)
            gradients, losses = self._critic_gradients(critic, state[0], batch)
            count = count + 1
            self._adam(state, gradients, count)
        if not alone:
            for group, new in zip(self._groups(), state, strict=True):
                for name, value in new.items():
                    group[name][joined] = value
        self.steps[joined] = count
        return losses

    def _groups(self) -> tuple[Params, Params, Params]:
        return self.params, self.first, self.second

    def _critic_gradients(
        self, critic: Critic, params: Params, batch: Batch
    ) -> tuple[Params, Tensor]:
        """Each shard's gradient of its critic's loss, and the loss without penalty (k,)."""
        penalty = self.settings.gradient_penalty
        if isinstance(critic, MLPCritic):
            gradients, gap = wgan_gp_gradients(params, *batch, penalty)
            if self.settings.classifier_weight:
                gradients |= classifier_gradients(params, *batch[:3])
            return gradients, gap
        loss = partial(self._critic_loss, critic)
        return vmap(grad(loss, has_aux=True))(params, *batch)

    def _critic_loss(
        self,
        critic: Critic,
        params: Params,
        real: Tensor,
        fake: Tensor,
        labels: Tensor,
        mix: Tensor,
    ) -> tuple[Tensor, Tensor]:
        def score(codes: Tensor, classes: Tensor) -> Tensor:
            return functional_call(critic, params, (codes, classes))

        gap = wasserstein_loss(score, real, fake, labels)
        penalty = gradient_penalty(score, real, fake, labels, mix)
        total = gap + self.settings.gradient_penalty * penalty
        if self.settings.classifier_weight:
            for codes in (real, fake):  # in turn on real and fake, as in the lineage
                logits = _classify(critic, params, codes)
                total = total + classification_loss(logits, labels) / len(labels)
        return total, gap.detach()

    def _draw(self, round_index: int, step: int, joined: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Batch choices of the joining shards.

        Drawn for all K, so a shard's own draw never depends on who else joins.
        """
        size, batch = self.labels.shape[1], self.settings.batch
        generator = stream(self._seed, "owners", round_index, step)
        draws = torch.rand(3, self._total, batch, generator=generator)
        draws = draws[:, joined.cpu() + self._members.start]
        draws = draws.to(self.codes.device)  # (3, k, b)
        return (draws[0] * size).long(), draws[1], draws[2][:, :, None]

    def _adam(self, state: list[Params], gradients: Params, count: Tensor) -> None:
        """Adam (Kingma & Ba, 2015) on stacked parameters, each shard with its own step count."""
        beta1, beta2 = self.settings.betas
        params, first, second = state
        rate = self.settings.learning_rate / (1 - beta1**count)  # (k,)
        spread = 1 / (rate * (1 - beta2**count).sqrt())
        for name, gradient in gradients.items():
            shape = (-1, *[1] * (gradient.dim() - 1))
            first[name].lerp_(gradient, 1 - beta1)
            second[name].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            # (sqrt(second / (1 - beta2^n)) + 1e-8) / rate
            scale = second[name].sqrt()
            torch.addcmul((1e-8 / rate).view(shape), scale, spread.view(shape), out=scale)
            params[name].addcdiv_(first[name], scale, value=-1)


def _pool_by_label(labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Positions of each label in the pool, (classes, longest), and how many there are."""
    counts = labels.bincount(minlength=num_classes)
    require(
        int(counts.min()) > 0,
        "fake_labels",
        counts.tolist(),
        "at least one fake of every class",
        "a larger fake_pool",
    )
    table = labels.new_zeros(num_classes, int(counts.max()))
    for label in range(num_classes):
        where = (labels == label).nonzero()[:, 0]
        table[label, : len(where)] = where
    return table, counts


class _ClassifierView(torch.nn.Module):
    """Lets `functional_call` reach `classify` instead of `forward`."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, codes: Tensor) -> Tensor:
        return self.critic.classify(codes)


def _classify(critic: Critic, params: Params, codes: Tensor) -> Tensor:
    return functional_call(_ClassifierView(critic), _prefixed(params), (codes,))


def _prefixed(params: Params) -> Params:
    return {f"critic.{name}": value for name, value in params.items()}
