"""What larger pictures cost: quality, seconds, memory and noise against the side in pixels.

``python -m companion.studies.resolutions [--list]`` releases from the same records at several sizes,
CelebA's middle squares and digits drawn at each size, judges what it samples, and adds the answer to
``results/resolutions.json``; what is there already is left alone, so that it may be stopped at any
moment. Every release is made in a process of its own, whose peak memory is noted.

A code's length grows with the side, as the same picture has more pixels, and so do both clip radii of
the presets: that is the repair ``radii``. Beside it stand radii that do not grow, ``none``, and ``radii
and modes``, which also keeps more modes. How much the radii cut is measured without noise, so these
figures are not private.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from companion.studies.benchmarks.ensembles import peak_gigabytes
from companion.studies.resumable import Named, add_answer, load_answers, make_missing, unanswered
from companion.studies.train_alone import train_alone
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import USUAL_SIDES
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import DATASETS, ImageData, data_root, load
from dpgen_core.delivery.survey import mean_noise
from dpgen_core.evaluation.looks import sharpness
from dpgen_core.evaluation.metrics import EvaluationSettings, evaluate
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.prior.gaussian import group_counts, group_sums, release_multipliers
from dpgen_core.records.provenance import provenance
from dpgen_core.training.sampler import prior_basis

RESOLUTIONS_FILE = "resolutions.json"
SIDES = {"celeba": (16, 32, 64), "glyphs": (16, 28, 64, 128)}
METHODS = {"celeba": "gaussian/with-color", "glyphs": "mixture"}  # the recommended ones
ROUNDS = "efsgd-prior/with-color"  # at one budget only: it takes many times as long
EPSILONS = (10.0, 1.0)
SEEDS = (0, 1, 2)
PLAIN, RADII, MODES = REPAIRS = ("none", "radii", "radii and modes")
MORE_MODES = 1.5  # times as many along each axis
RECORDS, TEST_RECORDS = 24_000, 3_000
# Fewer than of a run's metrics: at the largest size a pass takes thirty times as long as at 28 pixels.
SETTINGS = EvaluationSettings(synthetic_records=5_000, real_records=5_000, neighbor_records=1_000)
METRICS = (
    *("g2r_cnn", "g2r_mlp", "real_cnn", "real_mlp"),
    *("frechet_distance", "frechet_floor", "precision", "recall"),
)


@dataclass(frozen=True)
class Point(Named):
    """One release at one size."""

    dataset: str
    method: str
    image_size: int  #: side in pixels
    epsilon: float
    repair: str = PLAIN  #: one of `REPAIRS`
    seed: int = 0

    def config(self, num_records: int) -> ExperimentConfig:
        """Of the run that would release the same."""
        same = ("dataset", "method", "image_size", "epsilon", "seed")
        config = make_config(
            **{name: getattr(self, name) for name in same}, num_records=num_records, root=_root()
        )
        prior, growth = config.prior, self.image_size / usual_side(self.dataset)
        settings: dict[str, Any] = {}
        if self.repair == PLAIN:
            for name in ("mean_radius", "covariance_radius"):
                settings[f"prior_{name}"] = getattr(prior, name) / growth
        elif self.repair == MODES:
            settings["prior_modes"] = min(round(MORE_MODES * prior.modes), self.image_size)
        # The noise multiplier of a prior depends on neither: only the budget decides it.
        return config.replace(**settings)


def usual_side(dataset: str) -> int:
    """The side in pixels at which the radii of the presets were found."""
    return USUAL_SIDES[DATASETS[dataset].image_shape[0]]


def points() -> Iterator[Point]:
    """All of them, the most informative first: large pictures take most of the time."""
    ranked = []
    for seed, (dataset, method) in itertools.product(SEEDS, METHODS.items()):
        for side, epsilon in itertools.product(SIDES[dataset], EPSILONS):
            rank = (seed, int(side > 64), -epsilon)
            for repair in _repairs(dataset, side):
                if repair != MODES or epsilon == EPSILONS[0]:  # less carries no more modes
                    ranked.append((rank, Point(dataset, method, side, epsilon, repair, seed)))
    for side in SIDES["celeba"][1:]:
        for repair in _repairs("celeba", side)[:2]:
            ranked.append(((0, 2, 0.0), Point("celeba", ROUNDS, side, EPSILONS[0], repair)))
    yield from (point for _, point in sorted(ranked, key=lambda pair: pair[0]))


def _repairs(dataset: str, side: int) -> tuple[str, ...]:
    """Those that change something at this size."""
    usual = usual_side(dataset)
    return (PLAIN,) if side == usual else (PLAIN, RADII, MODES) if side > usual else (PLAIN, RADII)


def load_resolutions(results: Path) -> dict[str, Any]:
    """What was measured so far: ``points``, by name, ``settings`` and ``made_with``."""
    return load_answers(results / RESOLUTIONS_FILE)


def missing(results: Path) -> list[Point]:
    """The points that the file has no answer for, in order."""
    return unanswered(results / RESOLUTIONS_FILE, "points", points())


def pictures(dataset: str, split: str, side: int, count: int) -> ImageData:
    """`count` records in a fixed order, the same ones at every side.

    The files of photographs are squares already: of others, 32 pixels alone would show all.
    """
    return load(dataset, split, root=_root(), num_records=count, image_size=side)


def _root() -> Path:
    """The folder ``celeba64`` of the data folder, where it has one: files in torchvision's layout."""
    larger = data_root() / "celeba64"
    return larger if larger.is_dir() else data_root()


def pixel_noise(config: ExperimentConfig) -> float:
    """Standard deviation of the noise of a released class mean, root mean square over pixels.

    In units of white; for classes of equal size.
    """
    prior = config.prior
    multiplier = release_multipliers(config.privacy.prior_noise_multiplier, prior.num_cells)
    basis, per_class = prior_basis(config), config.privacy.num_records / config.num_classes
    code = 2 * multiplier["prior/means"] * prior.mean_radius / per_class  # of each scaled code
    return (
        code * float(basis.falloff(prior.corner).norm()) / math.sqrt(math.prod(config.image_shape))
    )


def kept_lengths(config: ExperimentConfig, records: ImageData) -> tuple[float, float]:
    """Share of their length that codes, and residuals around class means, keep under the clip."""
    prior, labels, basis = config.prior, records.labels, prior_basis(config)
    codes = basis.encode(records.images) / basis.falloff(prior.corner)  # (N, d)
    clipped, classes = clip_rows(codes, prior.mean_radius)[0], config.num_classes
    counts = group_counts(labels, classes).clamp(min=1)
    means = (group_sums(clipped, labels, classes) / counts[:, None]).to(codes)  # (classes, d)

    def kept(rows: torch.Tensor, radius: float) -> float:
        return float((radius / rows.norm(dim=1).clamp(min=1e-12)).clamp(max=1).mean())

    return kept(codes, prior.mean_radius), kept(codes - means[labels], prior.covariance_radius)


def measure(point: Point, cache: Path) -> dict[str, Any]:
    """One release and how it looks; in a process of its own, or its peak memory is another's."""
    side, device = point.image_size, torch.device("cpu")
    records = pictures(point.dataset, "train", side, RECORDS)
    config = point.config(RECORDS)
    started = time.process_time()
    trainer = train_alone(config, records, device=device)
    trained = time.process_time()
    labels = torch.arange(SETTINGS.synthetic_records) % config.num_classes
    images = trainer.sample(labels)
    training_peak, sampled = peak_gigabytes(), time.process_time()
    del trainer
    made = ImageData("synthetic", images, labels, records.class_names)
    test = pictures(point.dataset, "test", side, TEST_RECORDS)
    few = records.at(torch.arange(min(SETTINGS.real_records, len(records.labels))))
    judged_from = time.process_time()
    metrics = evaluate(*(made, few, test), settings=SETTINGS, seed=point.seed, cache_dir=cache)
    judged = time.process_time()
    of_codes, of_residuals = kept_lengths(config, records)
    return (
        asdict(point)
        | {name: metrics[name] for name in METRICS}
        | {
            "modes": config.prior.modes,
            "codes": prior_basis(config).dim,
            "cells": config.prior.num_cells,
            "noise_multiplier": config.privacy.prior_noise_multiplier,
            "mean_noise": mean_noise(config),
            "pixel_noise": pixel_noise(config),
            "kept_of_codes": of_codes,
            "kept_of_residuals": of_residuals,
            "sharpness": sharpness(made.images),
            "sharpness_real": sharpness(test.images),
            "training_seconds": round(trained - started, 1),
            "sampling_seconds": round(sampled - trained, 1),
            "judging_seconds": round(judged - judged_from, 1),
            "records_gigabytes": round(records.images.nbytes / 2**30, 3),
            "training_peak_gigabytes": round(training_peak, 2),
            "peak_gigabytes": round(peak_gigabytes(), 2),
        }
    )


def run_all(left: Sequence[Point], results: Path) -> None:
    """Measure these points, each in a fresh process; the file is whole after each."""
    for point in left:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            answer = pool.submit(measure, point, results / ".work" / "judges").result()
        about = {
            "made_with": provenance(torch.device("cpu")),
            "settings": asdict(SETTINGS) | {"num_records": RECORDS},
        }
        add_answer(results / RESOLUTIONS_FILE, "points", point.name(), answer, **about)
        print(f"{point.name()}: {_short(answer)}", flush=True)


def means(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each release, means over seeds, by what it is and growing side; ``n`` seeds.

    ``detail`` is the share of fine detail (`looks.sharpness`) over that of real pictures.

    Args:
        found: from `load_resolutions`.
    """
    frame = pd.DataFrame(list(found.get("points", {}).values()))
    if frame.empty:
        return frame
    frame["detail"] = frame["sharpness"] / frame["sharpness_real"]
    what = ["dataset", "method", "epsilon", "repair", "image_size"]
    grouped = frame.drop(columns="seed").groupby(what, sort=False)
    rows = grouped.mean().join(grouped.size().rename("n")).reset_index()
    return rows.sort_values("image_size", kind="stable", ignore_index=True)


def _short(answer: Mapping[str, Any]) -> str:
    names = ("g2r_cnn", "real_cnn", "pixel_noise", "kept_of_codes", "sharpness")
    return ", ".join(f"{name} {answer[name]:.4f}" for name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("resolutions", (__doc__ or "").split("\n")[0], arguments),
        missing=missing,
        run_all=run_all,
        named=Point.name,
    )


if __name__ == "__main__":
    sys.exit(main())
