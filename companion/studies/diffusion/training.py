"""Train the denoiser: for nothing on the prior's samples, then by DP-SGD on the records.

The budget is that of ``dp-sgd-critic/with-prior``: `make_config` shares it between the prior and
the rounds, and each round is one Poisson-sampled, clipped and noised sum of gradients. DP-SGD with
noise multiplicity is DPDM's recipe (Dockhorn et al. 2023); a start from released statistics in
place of public images is DP-FETA's (Li et al. 2025), whose central images the prior replaces.

Records join by hidden coins, and noise comes from the hidden stream, as in `critic_trainer`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from companion.studies.diffusion.network import Denoiser, denoising_loss, random_levels
from companion.studies.diffusion.per_sample import recorded, recording_layers
from dpgen_core.checks import check_int
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.mechanism.release import rounded
from dpgen_core.models.generators import with_contrast
from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.streams import HiddenStream, stream
from dpgen_core.training.schedule import falling_rate, follow

BETAS = (0.9, 0.99)
PRETRAINING_DECAY = 0.99  # of the moving average


@dataclass(frozen=True)
class DiffusionSettings:
    """Everything about the denoiser that is not in the configuration's budget."""

    width: int = 32  #: channels at full resolution
    pretraining_steps: int = 2000  #: on the prior's samples
    pretraining_batch: int = 512
    pretraining_rate: float = 2e-3  #: of Adam
    prior_images: int = 100_000  #: that it learns from
    views: int = 6  #: noise levels per record and round, K of DPDM
    learning_rate: float = 5e-4  #: of Adam in the rounds
    ema_decay: float = 0.98  #: of the weights that are sampled from
    records_at_once: int = 512  #: in memory; decides nothing but rounding

    def __post_init__(self) -> None:
        for name in ("width", "pretraining_batch", "views", "records_at_once"):
            check_int(name, getattr(self, name), low=1, fix=f"{name}=32")


class DiffusionTrainer:
    """One run: `pretrain`, then `step` for each round. Weights in `average` are sampled from."""

    def __init__(
        self,
        config: ExperimentConfig,
        settings: DiffusionSettings,
        *,
        device: torch.device,
    ) -> None:
        self.config, self.settings, self.device = config, settings, device
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(config.seed)
            shape, classes = config.image_shape, config.num_classes
            self.denoiser = Denoiser(shape, classes, settings.width).to(device)
        self.average = copy.deepcopy(self.denoiser)
        self._layers = recording_layers(self.denoiser)
        self._weights = list(self.denoiser.parameters())
        self._start_optimizer(settings.learning_rate)

    def pretrain(
        self, images: Tensor, labels: Tensor, progress: Callable[[int, float], None] | None = None
    ) -> None:
        """Learn `prior_images` (n, c, h, w) and their labels. Post-processing of the release."""
        settings, seed = self.settings, self.config.seed
        self._start_optimizer(settings.pretraining_rate)
        for step in range(settings.pretraining_steps):
            generator = stream(seed, "pretraining", step, device=self.device)
            shape, where = (settings.pretraining_batch,), self.device
            rows = torch.randint(len(images), shape, generator=generator, device=where)
            level = random_levels(len(rows), generator)
            clean = images[rows] * 2 - 1
            noise = torch.randn(clean.shape, generator=generator, device=where)
            with self._autocast():
                loss = denoising_loss(self.denoiser, clean, labels[rows], level, noise).mean()
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            left = 1 - step / settings.pretraining_steps
            self._step(step, left * settings.pretraining_rate, PRETRAINING_DECAY)
            if progress is not None and step % 100 == 0:
                progress(step, loss.item())
        self.denoiser.load_state_dict(self.average.state_dict())
        self._start_optimizer(settings.learning_rate)

    def step(self, data: ImageData, round_index: int, key: str) -> dict[str, float]:
        """One round: the sanitized sum of clipped gradients, and a step of Adam.

        `data` are the records on this device, in [0, 1]. The figures that come back are private.
        """
        privacy, settings = self.config.privacy, self.settings
        coins = HiddenStream(key, "coins", round_index, 0).uniform(privacy.num_records)
        joined = (coins < privacy.sampling_rate).nonzero()[:, 0].to(self.device)
        generator = stream(self.config.seed, "levels", round_index, device=self.device)
        count = sum(p.numel() for p in self._weights)
        total = torch.zeros(count, dtype=torch.float64, device=self.device)
        norms = []
        for rows in joined.split(settings.records_at_once) if len(joined) else ():
            # Always as many, as a GPU prepares for each new shape; those that fill up are dropped.
            filled = torch.cat([rows, rows[:1].expand(settings.records_at_once - len(rows))])
            gradients = self._gradients(data.images[filled], data.labels[filled], generator)
            gradients = gradients[: len(rows)]
            clipped, before = clip_rows(gradients, privacy.max_grad_norm)
            total += clipped.sum(0, dtype=torch.float64)
            norms.append(before)
        noise = HiddenStream(key, "noise", round_index, 0).normal((count,)).to(total)
        std = privacy.noise_multiplier * privacy.max_grad_norm
        release = rounded(total + std * noise, std)
        expected = privacy.sampling_rate * privacy.num_records
        parts = (release / expected).split([p.numel() for p in self._weights])
        for p, part in zip(self._weights, parts, strict=True):
            p.grad = part.view_as(p)
        rate = falling_rate(settings.learning_rate, round_index / privacy.rounds)
        self._step(round_index, rate, settings.ema_decay)
        seen = torch.cat(norms) if norms else total.new_zeros(1)
        clipped_share = float((seen > privacy.max_grad_norm).double().mean())
        return {"norm_median": float(seen.median()), "clipped_share": clipped_share}

    def _gradients(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Each record's gradient of its loss, averaged over its views, (n, P)."""
        views = self.settings.views
        many = (images * 2 - 1).repeat_interleave(views, 0)  # (n views, c, h, w)
        level = random_levels(len(many), generator)
        noise = torch.randn(many.shape, generator=generator, device=self.device)
        with recorded(self._layers, views) as gradients, self._autocast():
            labels = labels.repeat_interleave(views)
            denoising_loss(self.denoiser, many, labels, level, noise).sum().backward()
            return gradients() / views

    def _step(self, done: int, rate: float, decay: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        follow(self.average.parameters(), self._weights, decay=decay, steps=done)

    def _start_optimizer(self, rate: float) -> None:
        self._optimizer = torch.optim.Adam(self._weights, lr=rate, betas=BETAS)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"
        )


def prior_images(
    prior: FrequencyPrior, count: int, *, seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Samples of the prior in [0, 1], (n, c, h, w), and balanced labels (n,)."""
    generator = stream(seed, "prior-images", device=device)
    labels = torch.arange(count, device=device) % len(prior.class_share)
    latents = torch.randn(count, prior.latent_dim, generator=generator, device=device)
    images = with_contrast(prior.sample(latents, labels).float(), "full-range")
    return images.clamp(0, 1), labels


def rounds_of(
    trainer: DiffusionTrainer, data: ImageData, key: str, seconds: float | None = None
) -> Iterator[dict[str, float]]:
    """All rounds; stops when `seconds` have passed, which only lowers what was spent."""
    started = time.perf_counter()
    for index in range(trainer.config.privacy.rounds):
        if seconds is not None and time.perf_counter() - started > seconds:
            return
        yield trainer.step(data, index, key)
