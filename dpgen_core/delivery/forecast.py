"""How long `synthesize` takes and what memory it needs, from short rehearsals on drawn noise.

What grows with the records is timed at two sizes and drawn out in a straight line, so that what does
not grow, such as the decomposition of a covariance, is not multiplied. The first call of each kind is
not counted, as it loads what is loaded once.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData
from dpgen_core.delivery.memory import gigabytes
from dpgen_core.delivery.survey import Survey
from dpgen_core.evaluation.classifiers import ARCHITECTURES, train_classifier
from dpgen_core.pixels import to_bytes
from dpgen_core.training.report import Trainer
from dpgen_core.training.session import TRAINERS, make_prior

_SMALL, _LARGE = 500, 2000  # records of two rehearsals
_DRAWN = 500  # synthetic images of one
_ROUNDS = 3
_START = 5.0  # seconds until everything is imported, and for sheets and statements at the end
_LEAST_MINUTES = 90.0  # seconds from which on minutes are told


def forecast(config: ExperimentConfig, survey: Survey) -> str:
    """One line; about right for this machine's processor, and no bound."""
    count = len(survey.listing.files)
    seconds = (
        _START + 2 * count * survey.seconds
    )  # each file is read for the look, then for the run
    seconds += _drawn_out(lambda records: _learn(config, records), config.privacy.num_records)
    seconds += _make(config) * config.evaluation.synthetic_records / _DRAWN
    if config.evaluated:
        seconds += _judge(config)
    text = f"{seconds:.0f} s" if seconds < _LEAST_MINUTES else f"{seconds / 60:.0f} min"
    return f"forecast: about {text} and {gigabytes(config, count):.1f} GB of memory"


def _drawn_out(seconds: Callable[[int], float], records: int) -> float:
    """What `seconds` would be at so many records."""
    small, large = min(records, _SMALL), min(records, _LARGE)
    seconds(small)
    less, more = seconds(small), seconds(large)
    slope = max(0.0, more - less) / max(1, large - small)
    return more + slope * (records - large)


def _rehearsal(config: ExperimentConfig, records: int) -> tuple[ExperimentConfig, ImageData]:
    """The run of `config` on so many records of noise, with shards of the same size."""
    shards = max(1, config.privacy.num_shards * records // config.privacy.num_records)
    return config.replace(num_records=records, num_shards=shards), _noise(config, records)


def _noise(config: ExperimentConfig, records: int) -> ImageData:
    pixels = torch.rand(records, *config.image_shape, generator=torch.Generator().manual_seed(0))
    names = tuple(str(label) for label in range(config.num_classes))
    return ImageData("rehearsal", pixels, torch.arange(records) % config.num_classes, names)


def _trainer(config: ExperimentConfig, records: int) -> Trainer:
    small, drawn = _rehearsal(config, records)
    how: dict[str, Any] = {"device": torch.device("cpu")}
    prior = make_prior(small, drawn, "rehearsal", **how) if config.prior.modes else None
    return TRAINERS[config.privacy.learner](small, drawn, "rehearsal", prior=prior, **how)


def _learn(config: ExperimentConfig, records: int) -> float:
    """Seconds of prior and rounds."""
    rounds, clock = config.privacy.rounds, time.perf_counter()
    trainer = _trainer(config, records)
    trainer.warm_up()
    seconds = time.perf_counter() - clock
    if rounds:
        clock = time.perf_counter()
        for index in range(_ROUNDS):
            trainer.apply(trainer.compute(index))
        seconds += rounds / _ROUNDS * (time.perf_counter() - clock)
    return seconds


def _make(config: ExperimentConfig) -> float:
    """Seconds of drawing and writing `_DRAWN` images: the run draws them, and so does the handover."""
    trainer = _trainer(config, min(config.privacy.num_records, _SMALL))
    labels = torch.arange(_DRAWN) % config.num_classes
    trainer.sample(labels[:10])
    clock = time.perf_counter()
    pixels = to_bytes(trainer.sample(labels)).numpy()  # (n, c, h, w)
    np.savez_compressed(io.BytesIO(), images=pixels)
    twice = time.perf_counter() - clock
    clock = time.perf_counter()
    for image in pixels:
        shown = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        Image.fromarray(shown).save(io.BytesIO(), "png")
    return 2 * twice + time.perf_counter() - clock


def _judge(config: ExperimentConfig) -> float:
    """Seconds of the metrics: nearly all of them train classifiers.

    However few records there are, most of what they see is synthetic.
    """
    images = config.evaluation.for_side(config.image_shape[1])
    drawn = _noise(config, _SMALL)
    protocol: dict[str, Any] = {"num_classes": config.num_classes, "seed": 0, "epochs": 1}
    for records in (10, len(drawn.labels)):
        clock = time.perf_counter()
        for name in ARCHITECTURES:
            rows = slice(records)
            train_classifier(drawn.images[rows], drawn.labels[rows], architecture=name, **protocol)
    seen = min(images.real_records, config.privacy.num_records) + images.synthetic_records
    return images.classifier_epochs * seen / len(drawn.labels) * (time.perf_counter() - clock)
