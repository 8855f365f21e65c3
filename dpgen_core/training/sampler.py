"""The released generator: all that is needed to draw images, apart from the run that made it.

A file `GENERATOR_FILE` holds the released tensors and, in its header, settings and class names. It
is inside the guarantee: more images from it are post-processing and cost nothing.

    >>> GENERATOR_FILE
    'generator.safetensors'
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dpgen_core.checks import InvalidArgument, check_int, require
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.codes.frames import FramedBasis
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.dither import add_dither, add_grain
from dpgen_core.data.sets import ImageData
from dpgen_core.models.generators import (
    ConvGenerator,
    FramedGenerator,
    RefinerGenerator,
    with_contrast,
)
from dpgen_core.pixels import to_bytes
from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.streams import stream
from dpgen_core.training.workspace import below, cpu_state

GENERATOR_FILE = "generator.safetensors"
_BATCH = 500  # images drawn at once; each batch has its own streams
Network = ConvGenerator | RefinerGenerator


@dataclass(frozen=True)
class Generator:
    """A released generator; `load` reads one, and `sample` draws images from it."""

    config: ExperimentConfig  #: of the run
    class_names: tuple[str, ...]  #: one per class, public
    prior: FrequencyPrior | None  #: the released prior, where the method has one
    network: Network | None  #: where the method has rounds
    device: torch.device

    def sample(
        self,
        *,
        count: int | None = None,
        per_class: int | None = None,
        proportional: bool = False,
        seed: int | None = None,
    ) -> ImageData:
        """Draw images (n, c, h, w) in [0, 1] with their labels (n,).

        Args:
            count: how many in all, >= 1; the classes take turns. None takes the run's own number.
            per_class: as many of each class, >= 1; in place of `count`.
            proportional: classes in their released shares. Only a prior releases them.
            seed: >= 0; None takes the run's own. With it and without the other arguments the images
                are those of the run, bit for bit on the same kind of machine.

        Raises:
            InvalidArgument: a bad argument, or shares that were not released.
        """
        labels = self.labels(count=count, per_class=per_class, proportional=proportional)
        seed = self.config.seed if seed is None else seed
        check_int("seed", seed, low=0, fix="seed=1")
        images = self.draw(labels, seed=seed)
        return ImageData(f"synthetic-{self.config.dataset}", images, labels, self.class_names)

    def labels(
        self,
        *,
        count: int | None = None,
        per_class: int | None = None,
        proportional: bool = False,
    ) -> Tensor:
        """The labels (n,) that `sample` draws images for."""
        count = check_numbers(self.config, count, per_class, proportional)
        classes = self.config.num_classes
        if not proportional:
            return torch.arange(count) % classes
        assert self.prior is not None
        exact = self.prior.class_share.double().cpu() * count
        numbers = exact.floor().long()
        # What rounding down left over goes to the largest fractions.
        numbers[(numbers - exact).argsort(stable=True)[: count - int(numbers.sum())]] += 1
        return torch.arange(classes).repeat_interleave(numbers)

    def draw(self, labels: Tensor, *, seed: int, stream_name: str = "samples") -> Tensor:
        """Synthetic images in [0, 1] for `labels` (n,), (n, c, h, w); post-processing."""
        made = torch.empty(len(labels), *self.config.image_shape)
        for rows, some in self._batches(labels, seed, stream_name):
            made[rows] = some
        return made

    def pixels(self, labels: Tensor, *, seed: int) -> Tensor:
        """The same as uint8, which takes a quarter of the memory."""
        made = torch.empty(len(labels), *self.config.image_shape, dtype=torch.uint8)
        for rows, some in self._batches(labels, seed, "samples"):
            made[rows] = to_bytes(some)
        return made

    @torch.no_grad()
    def _batches(
        self, labels: Tensor, seed: int, stream_name: str
    ) -> Iterator[tuple[slice, Tensor]]:
        source = self.config.generator if self.prior is None else self.prior
        # The last entry of a mixture's latent picks the cell.
        spread = source.latent_dim if self.prior is None else self.prior.basis.dim
        for start in range(0, len(labels), _BATCH):
            where = (seed, stream_name, start)
            rows = slice(start, start + _BATCH)
            batch = labels[rows].to(self.device)
            latents = torch.randn(len(batch), source.latent_dim, generator=stream(*where))
            latents[:, :spread] *= self.config.generator.temperature
            latents = latents.to(self.device)
            if self.network is not None:
                noise = stream(*where, "injection", device=self.device)
                images = self.network(latents, batch, noise)
            else:
                assert self.prior is not None
                images = self.prior.sample(latents, batch)
                if self.config.prior.contrast:
                    images = with_contrast(images, self.config.prior.curve)
            images = images.clamp(0, 1).cpu()
            if self.config.generator.dither:
                images = add_dither(images, self.config.generator.dither, stream(*where, "dither"))
            if self.config.generator.grain:
                images = add_grain(images, self.config.generator.grain, stream(*where, "grain"))
            yield rows, images

    def save(self, path: Path) -> None:
        """Write the file; the same generator gives the same bytes."""
        tensors: dict[str, Tensor] = {}
        if self.prior is not None:
            tensors |= {f"prior.{name}": v for name, v in self.prior.tensors().items()}
            if _one_covariance(self.config):
                tensors["prior.factors"] = tensors["prior.factors"][:1]  # equal for all classes
        if self.network is not None:
            tensors |= cpu_state(self.network, "network")
        flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        books = {"config": self.config.to_dict(), "class_names": list(self.class_names)}
        save_file(flat, path, metadata={"dpgen": json.dumps(books)})


def load(path: Path | str, *, device: torch.device | str = "cpu") -> Generator:
    """The generator in a file, or in a folder that was handed over; nothing is unpickled.

    Raises:
        InvalidArgument: there is none, or it is damaged.
    """
    file = Path(path).expanduser()
    file = file / GENERATOR_FILE if file.is_dir() else file
    where = usable_device(device)
    try:
        with safe_open(file, "pt") as opened:
            books = json.loads((opened.metadata() or {})["dpgen"])
        config = ExperimentConfig.from_dict(books["config"])
        # Copies, as PyTorch aligns them: sums over unaligned memory may round otherwise.
        tensors = {name: value.clone() for name, value in load_file(file).items()}
        prior, network = None, None
        if released := below(tensors, "prior"):
            if _one_covariance(config):
                repeats = (config.num_classes, 1, 1, 1)
                released["factors"] = released["factors"].repeat(repeats)
            prior = FrequencyPrior.from_tensors(released, prior_basis(config, where), where)
        if state := below(tensors, "network"):
            network = build_network(config, prior).to(where)
            network.load_state_dict(state)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InvalidArgument(
            f"generator: received {str(file)!r}, but it must be a whole {GENERATOR_FILE} ({reason}). "
            "Try the folder that dpgen synthesize wrote."
        ) from error
    return Generator(config, tuple(books["class_names"]), prior, network, where)


def check_numbers(
    config: ExperimentConfig, count: int | None, per_class: int | None, proportional: bool
) -> int:
    """How many images `Generator.sample` draws with these arguments; refuses bad ones."""
    prior, method = bool(config.prior.modes), config.method
    rule = f"left out with the method {method}, which releases no class shares"
    require(prior or not proportional, "proportional", True, rule, "a method with a prior: mixture")
    if per_class is None:
        count = config.evaluation.synthetic_records if count is None else count
        check_int("count", count, low=1, fix="count=1000")
        return count
    rule = "left out where count or proportional is given"
    alone = count is None and not proportional
    require(alone, "per_class", per_class, rule, "count alone")
    check_int("per_class", per_class, low=1, fix="per_class=500")
    return per_class * config.num_classes


def usable_device(name: torch.device | str | None) -> torch.device:
    """``cpu`` or ``cuda``, where there is one; None takes CUDA if it can."""
    if isinstance(name, torch.device):
        return name
    found = torch.cuda.is_available()
    rule = "'cpu' or 'cuda'" if found else "'cpu' here: no CUDA device was found"
    good = name in (None, "cpu") or (found and name is not None and name.startswith("cuda"))
    require(good, "device", name, rule, "device='cpu'")
    return torch.device(name or ("cuda" if found else "cpu"))


def build_network(config: ExperimentConfig, prior: FrequencyPrior | None) -> Network:
    """An untrained generator network, from PyTorch's global generator."""
    settings = config.generator
    network = (settings.width, settings.noise_form if settings.noise_injection else None)
    if prior is not None:
        return RefinerGenerator(
            *(prior, *network), by_label=settings.label_in_refiner, curve=config.prior.curve
        )
    kind = FramedGenerator if settings.framed else ConvGenerator
    images = (config.image_shape, config.num_classes)
    return kind(*images, settings.latent_dim, *network, settings.appearance_noise)


def prior_basis(config: ExperimentConfig, device: torch.device | str = "cpu") -> FrequencyBasis:
    """The public basis in which the prior of `config` is released and sampled."""
    kind = basis_kind(config.prior.framed)
    return kind(config.image_shape, config.prior.modes, device, chroma=config.prior.chroma)


def basis_kind(framed: bool) -> type[FrequencyBasis]:
    """The basis with or without a frame of its own for each image."""
    return FramedBasis if framed else FrequencyBasis


def _one_covariance(config: ExperimentConfig) -> bool:
    """Whether all classes share one covariance, which is then kept once."""
    return config.prior.shared_covariance and config.prior.num_cells == 1
