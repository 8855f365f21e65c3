"""Which noise on finished samples lets a deep judge learn the classes, and not the artifacts?

``python -m companion.studies.sample_noise [--list]`` releases each data set's usual prior from five
sixths of the training records, some with finer modes, draws samples, some at a higher temperature, puts
a form of noise on them, trains the network of the protocol ``deep`` on the result, and tests it on the
other sixth; no test image is used. It adds the answer to ``results/sample_noise.json``; what is there
already is left alone, so that it may be stopped at any moment. Noise on samples and their temperature
are post-processing and cost no privacy.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.studies.resumable import Named, add_answer, load_answers, make_missing, unanswered
from companion.studies.settings_search import split
from companion.studies.train_alone import sample_alone
from dpgen_core.config.make import make_config
from dpgen_core.data.dither import DITHER, GRAIN, add_dither, add_grain, marks
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.deep_judge import train_judge
from dpgen_core.evaluation.protocols import PROTOCOLS, DeepProtocol
from dpgen_core.records.provenance import provenance
from dpgen_core.streams import stream

SAMPLE_NOISE_FILE = "sample_noise.json"
NONE = "none"
# What is recommended for images of this kind.
METHODS = {
    "fashion_mnist": "mixture",
    "mnist": "mixture/with-frame",
    "celeba": "gaussian/with-color",
}
EPSILONS = (10.0, 1.0)


def _varied(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Dither of another strength for each image, uniform up to `most`."""
    level = torch.rand(len(images), 1, 1, 1, generator=generator)
    return (images + most * level * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def _on_marks(images: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Dither that spares black, of one strength for all images."""
    noise = torch.randn(images.shape, generator=generator)
    return (images + std * marks(images) * noise).clamp(0, 1)


def _moved(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """No noise: each image turned, slanted, scaled and shifted by up to `most` of its size."""
    change = most * (2 * torch.rand(len(images), 2, 3, generator=generator) - 1)
    places = torch.eye(2, 3) + change  # (n, 2, 3)
    grid = F.affine_grid(places, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


# Images (n, c, h, w) in [0, 1] and a generator -> images.
FORMS: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    NONE: lambda images, _: images,
    "dither": lambda images, generator: add_dither(images, DITHER, generator),
    "dither, twice": lambda images, generator: add_dither(images, 2 * DITHER, generator),
    "dither, varied": lambda images, generator: _varied(images, 0.4, generator),
    "on marks": lambda images, generator: _on_marks(images, 0.25, generator),
    "grain": lambda images, generator: add_grain(images, GRAIN, generator),
    "grain, stronger": lambda images, generator: add_grain(images, 0.8, generator),
    "grain, weaker": lambda images, generator: add_grain(images, 0.1, generator),
    "grain, weak": lambda images, generator: add_grain(images, 0.2, generator),
    "moved": lambda images, generator: _moved(images, 0.08, generator),
}
# Faces fill the image, so all of it is grained: less is enough.
_WEAK = ("grain, weaker", "grain, weak")
FORMS_BY_DATASET: Mapping[str, Sequence[str]] = {
    **{dataset: [form for form in FORMS if form not in _WEAK] for dataset in METHODS},
    "celeba": (NONE, "dither", *_WEAK, "grain", "moved"),
}

# Releases with more modes than the method's own; without noise they help at a small budget alone.
MODES: Mapping[str, Sequence[int]] = {"fashion_mnist": (16, 20), "mnist": (16,)}
MODES_UNDER = (NONE, "grain", "grain, stronger")
# Samples drawn at another temperature: form of noise, modes, temperature.
HEATED: Mapping[str, Sequence[tuple[str, int | None, float]]] = {
    "fashion_mnist": (("grain, stronger", 16, 1.25),),
    "mnist": (
        *((NONE, None, 1.5), (NONE, 16, 1.5)),
        *(("grain, stronger", 16, temperature) for temperature in (1.25, 1.5, 2.0)),
    ),
}


@dataclass(frozen=True)
class Point(Named):
    """One set, judged."""

    form: str  #: of `FORMS`
    dataset: str  #: of `METHODS`
    epsilon: float
    seed: int = 0  #: of the release, of the noise and of the judge
    modes: int | None = None  #: of the prior, along each axis; None: the method's own
    temperature: float | None = None  #: of the sampling; None: 1

    def name(self) -> str:
        """Its entry in the file; the first were made as the method has it, and name no more."""
        shown = {n: v for n, v in asdict(self).items() if v is not None}
        return ", ".join(f"{name} {value}" for name, value in shown.items())


def points() -> Iterator[Point]:
    """All of them, the larger budget first. What is best here, `yardsticks` judges at several seeds."""
    for epsilon, dataset in itertools.product(EPSILONS, METHODS):
        for form in FORMS_BY_DATASET[dataset]:
            yield Point(form, dataset, epsilon)
        for modes, form in itertools.product(MODES.get(dataset, ()), MODES_UNDER):
            yield Point(form, dataset, epsilon, modes=modes)
        for form, finer, temperature in HEATED.get(dataset, ()):
            yield Point(form, dataset, epsilon, modes=finer, temperature=temperature)


def load_sample_noise(results: Path) -> dict[str, Any]:
    """What was measured so far: ``points``, by name, and ``made_with``."""
    return load_answers(results / SAMPLE_NOISE_FILE)


def missing(results: Path) -> list[Point]:
    """The points that the file has no answer for, in order."""
    return unanswered(results / SAMPLE_NOISE_FILE, "points", points())


def measure(point: Point, records: ImageData, held_out: ImageData) -> dict[str, Any]:
    """What a network that learned from the samples knows of `held_out`, epoch by epoch."""
    protocol = PROTOCOLS["deep"]
    assert isinstance(protocol, DeepProtocol)
    settings: dict[str, Any] = {"prior_modes": point.modes, "temperature": point.temperature}
    config = make_config(
        dataset=point.dataset,
        method=METHODS[point.dataset],
        epsilon=point.epsilon,
        seed=point.seed,
        num_records=len(records.labels),
        **{name: value for name, value in settings.items() if value is not None},
    )
    made, _ = sample_alone(config, records, count=protocol.synthetic_records)
    noisy = FORMS[point.form](made.images, stream(point.seed, "sample noise"))
    started = time.process_time()
    judge = partial(train_judge, network=protocol.networks[0], seed=point.seed, device="cpu")
    judged = judge(replace(made, images=noisy), held_out, protocol)
    more = {"fall": judged.fall, "modes_released": config.prior.modes}
    more["judging_seconds"] = round(time.process_time() - started, 1)
    return asdict(point) | judged.figures() | more


def run_all(left: Sequence[Point], results: Path) -> None:
    """Measure these points; the file is whole after each."""
    parts: dict[str, tuple[ImageData, ImageData]] = {}
    for point in left:
        if point.dataset not in parts:
            parts[point.dataset] = split(point.dataset)
        answer = measure(point, *parts[point.dataset])
        path, made_with = results / SAMPLE_NOISE_FILE, provenance(torch.device("cpu"))
        add_answer(path, "points", point.name(), answer, made_with=made_with)
        print(f"{point.name()}: {answer['accuracy']:.4f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("sample_noise", (__doc__ or "").split("\n")[0], arguments),
        missing=missing,
        run_all=run_all,
        named=Point.name,
    )


if __name__ == "__main__":
    sys.exit(main())
