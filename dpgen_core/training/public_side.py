"""The public side of a run: basis, generator, moving average, optimizer, samples.

What moves the generator comes from releases alone, so everything that `PublicSide` does is
post-processing and covered by the guarantee. A trainer adds the private side (`LearnerBase`).
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor

from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.codes.frames import FramedBasis
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.dither import add_dither
from dpgen_core.data.sets import ImageData
from dpgen_core.models import generators
from dpgen_core.models.critics import Critic, build_critic
from dpgen_core.models.generators import ConvGenerator, FramedGenerator, RefinerGenerator
from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.streams import HiddenStream, stream
from dpgen_core.training.ranks import ALONE, Ranks
from dpgen_core.training.schedule import falling_rate, follow
from dpgen_core.training.threads import side_by_side
from dpgen_core.training.workspace import cpu_state

_POOL_BLOCK = 40


class PublicSide:
    """Generator and what belongs to it, initialized from the public seed.

    `prior` is the released one, when the method has one (`session.make_prior`). The attribute
    `critic` is an untrained critic from the same seed, for the learner to copy or to train.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        *,
        device: torch.device,
        prior: FrequencyPrior | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.device, self.prior, self.ranks = config, device, prior, ranks
        self._latent_dim = config.generator.latent_dim if prior is None else prior.latent_dim
        if not config.privacy.rounds:
            return
        modes = config.contribution.basis_modes
        self.basis = _basis(config.generator.framed)(config.image_shape, modes, device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.critic: Critic = build_critic(
                config.critic.kind,
                basis=self.basis,
                num_classes=config.num_classes,
                width=config.critic.width,
                classify=config.contribution.classifier_weight > 0,
            ).to(device)
            self.generator = self._build_generator()
        self.average = copy.deepcopy(self.generator)
        self._learned = [p for p in self.generator.parameters() if p.requires_grad]
        rate, betas = config.generator.learning_rate, (config.generator.momentum, 0.99)
        self.optimizer = torch.optim.Adam(self._learned, lr=rate, betas=betas)

    def latents(self, name: str, round_index: int, count: int) -> tuple[Tensor, Tensor]:
        """Public latents and balanced public labels, in random order."""
        generator = stream(self.config.seed, name, round_index)
        latents = torch.randn(count, self._latent_dim, generator=generator)
        labels = torch.arange(count) % self.config.num_classes
        labels = labels[torch.randperm(count, generator=generator)]
        return latents.to(self.device), labels.to(self.device)

    def codes(self, latents: Tensor, labels: Tensor, noise: generators.Noise) -> Tensor:
        """Codes (n, d) of generated images, as they are judged; with the generator's graph."""
        if isinstance(self.generator, FramedGenerator):
            assert isinstance(self.basis, FramedBasis)
            return self.generator.codes(self.basis, latents, labels, noise)
        return self.basis.encode(self.generator(latents, labels, noise))

    @torch.no_grad()
    def pool(self, round_index: int) -> tuple[Tensor, Tensor]:
        """Public fakes shared by all who train in the round: codes (F, d), labels (F,).

        Made in blocks with a noise stream each, so that each rank can make some of them.
        """
        latents, labels = self.latents("pool", round_index, self.config.critic.fake_pool)
        blocks = list(zip(latents.split(_POOL_BLOCK), labels.split(_POOL_BLOCK), strict=True))

        @torch.no_grad()
        def work(index: int) -> Tensor:
            where = (self.config.seed, "pool-injection", round_index, index)
            return self.codes(*blocks[index], stream(*where, device=self.device))

        mine = self.ranks.part(len(blocks))
        on_cpu = self.device.type == "cpu"
        made = side_by_side(work, mine) if on_cpu else [work(index) for index in mine]
        none = latents.new_zeros(0, self.basis.dim)
        return self.ranks.join(torch.cat([none, *made])), labels

    def share_gradients(self) -> None:
        """Sum the generator's gradients over ranks, each of which knows its own images' part."""
        for p in self._learned if self.ranks.size > 1 else ():
            part = torch.zeros_like(p) if p.grad is None else p.grad
            p.grad = self.ranks.sum(part.contiguous())

    def step_generator(self, rounds_done: float) -> None:
        """A step of Adam on the present gradient, and of the moving average.

        The learning rate falls over the second half of the rounds.
        """
        settings = self.config.generator
        rate = falling_rate(settings.learning_rate, rounds_done / self.config.privacy.rounds)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        weights = self.average.parameters(), self.generator.parameters()
        follow(*weights, decay=settings.ema_decay, steps=rounds_done)

    def public_tensors(self) -> dict[str, Tensor]:
        """Generator, average and optimizer, for a checkpoint."""
        state = cpu_state(self.generator, "generator") | cpu_state(self.average, "average")
        return state | optimizer_tensors(self.optimizer, "optimizer")

    def load_public(self, state: dict[str, Tensor]) -> None:
        """Restore what `public_tensors` gave."""
        self.generator.load_state_dict(below(state, "generator"))
        self.average.load_state_dict(below(state, "average"))
        load_optimizer(self.optimizer, below(state, "optimizer"))

    @torch.no_grad()
    def sample(self, labels: Tensor, *, stream_name: str = "samples") -> Tensor:
        """Synthetic images in [0, 1] for `labels` (n,), (n, c, h, w); seeded, post-processing."""
        made = torch.empty(len(labels), *self.config.image_shape)
        for start in range(0, len(labels), 500):
            where = (self.config.seed, stream_name, start)
            batch = labels[start : start + 500].to(self.device)
            latents = torch.randn(len(batch), self._latent_dim, generator=stream(*where))
            latents = latents.to(self.device)
            if self.config.privacy.rounds:
                noise = stream(*where, "injection", device=self.device)
                images = self.average(latents, batch, noise)
            else:
                assert self.prior is not None
                images = self.prior.sample(latents, batch)
                if self.config.prior.contrast:
                    images = generators.with_contrast(images, self.config.prior.curve)
            images = images.clamp(0, 1).cpu()
            if self.config.generator.dither:
                noise = stream(*where, "dither")
                images = add_dither(images, self.config.generator.dither, noise)
            made[start : start + len(batch)] = images
        return made

    def _build_generator(self) -> ConvGenerator | RefinerGenerator:
        settings = self.config.generator
        images = (self.config.image_shape, self.config.num_classes)
        network = (settings.width, settings.noise_injection)
        model: ConvGenerator | RefinerGenerator
        if self.prior is not None:
            model = RefinerGenerator(
                *(self.prior, *network),
                by_label=settings.label_in_refiner,
                curve=self.config.prior.curve,
            )
        else:
            kind = FramedGenerator if settings.framed else ConvGenerator
            model = kind(*images, settings.latent_dim, *network, settings.appearance_noise)
        return model.to(self.device)


class LearnerBase(PublicSide):
    """The public side, and what a learner takes from the private records, `data`.

    `config` is the only place sigma, q, T, C and K come from; `key` is the secret key of coins and
    noise. `public` are ``device``, ``prior`` and ``ranks`` of `PublicSide`.
    """

    _private: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: ExperimentConfig, data: ImageData, key: str, **public: Any) -> None:
        super().__init__(config, **public)
        self._key = key
        if config.privacy.rounds:
            self._take(data)

    @property
    def noise_std(self) -> float:
        """Standard deviation of a release's noise, sigma C."""
        return self.config.privacy.noise_multiplier * self.config.privacy.max_grad_norm

    def encode(self, images: Tensor, rows: Tensor) -> Tensor:
        """Codes (n, d) of the images at `rows` (n,)."""
        batches = rows.split(4096)
        return torch.cat([self.basis.encode(images[batch].to(self.device)) for batch in batches])

    def flip_coins(self, count: int, round_index: int, attempt: int) -> Tensor:
        """Poisson sampling by hidden coins: whether each of `count` contributors joins."""
        coins = HiddenStream(self._key, "coins", round_index, attempt).uniform(count)
        return coins < self.config.privacy.sampling_rate

    def forget(self) -> None:
        """Drop the private attributes: they take as much memory as the metrics that follow."""
        for name in self._private:
            vars(self).pop(name, None)  # a method without rounds has none

    def _take(self, data: ImageData) -> None:
        """Keep what the learner needs of the private records, in the attributes `_private`."""
        raise NotImplementedError


def to_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8."""
    return (images * 255).round().to(torch.uint8)


def prior_basis(config: ExperimentConfig, device: torch.device | str = "cpu") -> FrequencyBasis:
    """The public basis in which the prior of `config` is released and sampled."""
    kind = _basis(config.prior.framed)
    return kind(config.image_shape, config.prior.modes, device, chroma=config.prior.chroma)


def _basis(framed: bool) -> type[FrequencyBasis]:
    return FramedBasis if framed else FrequencyBasis


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """An optimizer's state by slot: ``prefix.index.name``."""
    slots = optimizer.state_dict()["state"].items()
    return {f"{prefix}.{index}.{name}": v for index, slot in slots for name, v in slot.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    """Restore what `optimizer_tensors` gave, without its prefix."""
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        index, _, slot = name.partition(".")
        slots.setdefault(int(index), {})[slot] = value
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": slots, "param_groups": whole["param_groups"]})


def below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries ``prefix.name``, by name."""
    cut = len(prefix) + 1
    return {name[cut:]: v for name, v in state.items() if name.startswith(prefix + ".")}
