"""The ensemble of data owners: private critics on disjoint shards, trained in one batched call.

Each owner holds one shard of the records. Its critic, optimizer state, classifier and error memory
never leave it; what does is a contribution of norm at most C (`book/method.md`). All joining owners
train and answer together: parameters are stacked along a leading owner axis, and
`torch.func.vmap` runs them as batched matrix products. Nothing that an owner computes depends on
another owner's records.
"""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from dpgen_core import losses
from dpgen_core.checks import check_int, require
from dpgen_core.config.groups import ContributionConfig, CriticConfig
from dpgen_core.models.critics import ConvCritic, Critic, MLPCritic
from dpgen_core.models.mlp_gradients import Params, classifier_gradients, wgan_gp_gradients
from dpgen_core.reconstruction import targets_of
from dpgen_core.streams import stream
from dpgen_core.training.threads import parted, side_by_side

BETAS = (0.5, 0.9)  # of the critics' Adam

Batch = tuple[Tensor, Tensor, Tensor]  # records and fakes, labels, mixing weights; by owner
Draw = tuple[Tensor, Tensor, Tensor]  # which records, which fakes, mixing weights; by owner

# With this many owners at once, what their steps read and write fits the cache of a CPU. For
# convolutions the framework keeps more, for its backward pass.
_OWNERS_IN_CACHE = {MLPCritic: 20, ConvCritic: 10}


def assign_shards(num_records: int, num_shards: int, *, seed: int) -> Tensor:
    """K disjoint shards of records 0..N-1 by a permutation from the public `seed`, (K, N // K).

    The rounds leave out the N mod K records that the public permutation puts last.
    """
    check_int("num_shards", num_shards, low=1, high=num_records, fix="num_shards=1000")
    size = num_records // num_shards
    order = torch.randperm(num_records, generator=stream(seed, "shards"))
    return order[: num_shards * size].reshape(num_shards, size)


class OwnerEnsemble:
    """K owners with their critics and records, stacked along a leading axis.

    Every owner starts from `critic`, which is initialized from the public seed. `codes` (K, n, d)
    and `labels` (K, n) are private, `match_scale` (d,) is the public scale of
    `reconstruction.targets_of`. Batches are drawn from `seed`, one stream per (round, step). Where
    other processes hold more owners, these are the `members` of `total`.
    """

    def __init__(
        self,
        critic: Critic,
        codes: Tensor,
        labels: Tensor,
        training: CriticConfig,
        contribution: ContributionConfig,
        *,
        num_classes: int,
        match_scale: Tensor,
        seed: int,
        members: range | None = None,
        total: int | None = None,
    ) -> None:
        require(codes.shape[:2] == labels.shape, "labels", tuple(labels.shape), "(K, n)", "(K, n)")
        self.codes, self.labels = codes, labels
        self.training, self.contribution = training, contribution
        self._num_classes, self._match_scale, self._seed = num_classes, match_scale, seed
        self._critic = critic
        owners = len(codes)
        self._members, self._total = members or range(owners), total or owners
        single, _ = stack_module_state([critic])
        self.params: Params = {
            name: value.detach().repeat(owners, *[1] * (value.dim() - 1)).to(codes.device)
            for name, value in single.items()
        }
        self.first = {name: torch.zeros_like(value) for name, value in self.params.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.params.items()}
        self.steps = torch.zeros(owners, device=codes.device)  # Adam steps taken, per owner

    def train(
        self, joined: Tensor, fake: Tensor, fake_labels: Tensor, *, steps: int, round_index: int
    ) -> Tensor:
        """Train the joining owners' critics on their own records against public fakes.

        `joined` (k,) are indices of owners, `fake` (F, d) public codes of every class, shared by
        all. Each owner takes `steps` steps, on batches named by `round_index`. Returns the last
        critic loss of each (k,), which is private.
        """
        if not len(joined):
            return torch.zeros(0, device=self.codes.device)
        by_label = _by_label(fake_labels, self._num_classes)
        draws = [self._draw(round_index, step, joined) for step in range(steps)]

        def work(part: slice) -> Tensor:
            ours = [(pick[part], turn[part], mix[part]) for pick, turn, mix in draws]
            return self._train(joined[part], ours, fake, by_label)

        return torch.cat(side_by_side(work, self._parts(len(joined))))

    def answer(
        self,
        joined: Tensor,
        codes: Tensor,
        labels: Tensor,
        public: losses.ClassStatistics,
        *,
        reconstruction_weight: float,
    ) -> Tensor:
        """The joining owners' gradients u_k[b] with respect to the public images.

        `joined` (k,) are indices of owners, `codes` (B, d) and `labels` (B,) those of the images,
        `public` the `losses.class_statistics` of public codes. Returns u (k, B, d), the gradient of
        adversarial + reconstruction + classifier loss: private until clipped, summed and noised.
        """
        if not len(joined):
            return codes.new_zeros(0, *codes.shape)
        adversarial_weight = self.contribution.adversarial_weight
        classifier_weight = self.contribution.classifier_weight

        def loss(x: Tensor, params: Params, targets: Tensor, weights: Tensor) -> Tensor:
            total = x.sum() * 0.0
            if adversarial_weight:
                score = partial(_score, self._critic, params)
                total = total + adversarial_weight * losses.adversarial_loss(score, x, labels)
            if reconstruction_weight:
                pull = losses.reconstruction_loss(x, targets, weights)
                total = total + reconstruction_weight * pull
            if classifier_weight:
                logits = _classify(self._critic, params, x)
                total = total + classifier_weight * losses.classification_loss(logits, labels)
            return total

        params = {name: value[joined] for name, value in self.params.items()}
        targets = weights = codes.new_zeros(len(joined), 1, 1)
        if reconstruction_weight:
            form, scale = self.contribution.reconstruction_target, self._match_scale
            own = zip(self.codes[joined], self.labels[joined], strict=True)
            found = [targets_of(form, codes, labels, public, *shard, scale) for shard in own]
            targets, weights = (torch.stack(parts) for parts in zip(*found, strict=True))
        batched = vmap(grad(loss), in_dims=(None, 0, 0, 0))
        return batched(codes, params, targets, weights)  # (k, B, d)

    def _parts(self, count: int) -> list[slice]:
        """The joining owners in parts to be trained side by side; a GPU takes all at once."""
        if self.codes.device.type != "cpu":
            return [slice(0, count)]
        fitting = _OWNERS_IN_CACHE[type(self._critic)]
        number = max(min(torch.get_num_threads(), count), -(-count // fitting))
        return [slice(part.start, part.stop) for part in parted(count, number)]

    @torch.no_grad()  # `torch.func.grad` still differentiates; nothing leads back to the fakes
    def _train(
        self, joined: Tensor, draws: list[Draw], fake: Tensor, by_label: tuple[Tensor, ...]
    ) -> Tensor:
        """`train` for some of the joining owners, a step for each of `draws`."""
        own, own_labels = self.codes[joined], self.labels[joined]  # (k, n, d), (k, n)
        groups = (self.params, self.first, self.second)
        state = [{name: value[joined] for name, value in group.items()} for group in groups]
        count, (order, start, size) = self.steps[joined], by_label
        rows = torch.arange(len(joined), device=joined.device)[:, None]
        # One table and one look-up for the whole batch: (k n + F, d).
        table, records = torch.cat([own.flatten(0, 1), fake]), own_labels.numel()
        gaps = torch.zeros(len(joined), device=self.codes.device)
        # `functional_call` puts parameters into the module it gets: threads must not share one.
        by_hand = isinstance(self._critic, MLPCritic)
        critic = self._critic if by_hand else copy.deepcopy(self._critic)
        for pick, turn, mix in draws:
            labels = own_labels[rows, pick]  # (k, b)
            slot = (turn * size[labels]).long()  # a fake of the same label as the real record
            real, against = rows * own.shape[1] + pick, records + order[start[labels] + slot]
            pairs = F.embedding(torch.cat([real, against], dim=1), table)  # (k, 2b, d)
            gradients, gaps = self._critic_gradients(critic, state[0], (pairs, labels, mix))
            count = count + 1
            self._adam(state, gradients, count)
        for group, new in zip(groups, state, strict=True):
            for name, value in new.items():
                group[name][joined] = value
        self.steps[joined] = count
        return gaps

    def _critic_gradients(
        self, critic: Critic, params: Params, batch: Batch
    ) -> tuple[Params, Tensor]:
        """Each owner's gradient of its critic's loss, and the loss without penalty (k,)."""
        weight, classify = self.training.gradient_penalty, self.contribution.classifier_weight > 0
        if isinstance(critic, MLPCritic):
            gradients, gap = wgan_gp_gradients(params, *batch, weight)
            if classify:
                gradients |= classifier_gradients(params, *batch[:2])
            return gradients, gap

        def loss(
            params: Params, pairs: Tensor, labels: Tensor, mix: Tensor
        ) -> tuple[Tensor, Tensor]:
            real, fake = pairs.chunk(2)  # (b, d) each
            score = partial(_score, critic, params)
            gap = losses.wasserstein_loss(score, real, fake, labels)
            total = gap + weight * losses.gradient_penalty(score, real, fake, labels, mix)
            for codes in (real, fake) if classify else ():  # on both, as in DP-GAN-DPAC
                logits = _classify(critic, params, codes)
                total = total + losses.classification_loss(logits, labels) / len(labels)
            return total, gap.detach()

        return vmap(grad(loss, has_aux=True))(params, *batch)

    def _draw(self, round_index: int, step: int, joined: Tensor) -> Draw:
        """Batch choices of the joining owners.

        Drawn for all K, so an owner's own draw never depends on who else joins.
        """
        size, batch = self.labels.shape[1], self.training.batch_size
        generator = stream(self._seed, "owners", round_index, step)
        draws = torch.rand(3, self._total, batch, generator=generator)
        draws = draws[:, joined.cpu() + self._members.start].to(self.codes.device)  # (3, k, b)
        return (draws[0] * size).long(), draws[1], draws[2][:, :, None]

    def _adam(self, state: list[Params], gradients: Params, count: Tensor) -> None:
        """Adam (Kingma & Ba, 2015) on stacked parameters, each owner with its own step count."""
        beta1, beta2 = BETAS
        params, first, second = state
        rate = self.training.learning_rate / (1 - beta1**count)  # (k,)
        spread = 1 / (rate * (1 - beta2**count).sqrt())
        for name, gradient in gradients.items():
            shape = (-1, *[1] * (gradient.dim() - 1))
            first[name].lerp_(gradient, 1 - beta1)
            second[name].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            # (sqrt(second / (1 - beta2^n)) + 1e-8) / rate
            scale = second[name].sqrt()
            torch.addcmul((1e-8 / rate).view(shape), scale, spread.view(shape), out=scale)
            params[name].addcdiv_(first[name], scale, value=-1)


def _by_label(labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positions sorted by label (F,), where each label starts, and how often it occurs."""
    counts = labels.bincount(minlength=num_classes)
    rule, fix = "at least one fake of every class", "a larger fake_pool"
    require(int(counts.min()) > 0, "fake_labels", counts.tolist(), rule, fix)
    return labels.argsort(stable=True), counts.cumsum(0) - counts, counts


def _score(critic: Critic, params: Params, codes: Tensor, labels: Tensor) -> Tensor:
    return functional_call(critic, params, (codes, labels))


class _Classifier(torch.nn.Module):
    """Lets `functional_call` reach `classify` in place of `forward`."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, codes: Tensor) -> Tensor:
        return self.critic.classify(codes)


def _classify(critic: Critic, params: Params, codes: Tensor) -> Tensor:
    named = {f"critic.{name}": value for name, value in params.items()}
    return functional_call(_Classifier(critic), named, (codes,))
