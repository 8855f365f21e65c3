"""How many records a budget needs: accuracy against N, by the method recommended for each kind.

``python -m companion.studies.record_counts [--list]`` releases from the first N records of a public
permutation, trains the CNN of the metrics on what it samples, and adds the accuracy on real test
images to ``results/record_counts.json``; what is there already is left alone, so that it may be
stopped at any moment. The same CNN trained on the N records themselves is the measure to compare with.

The rule `fitted` to a data set says which share of the accuracy is left at which noise. `dpgen check`
warns by it (`delivery.survey.LIMITS`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.optimize import curve_fit

from companion.studies.resumable import Named, add_answer, load_answers, make_missing, unanswered
from companion.studies.train_alone import sample_alone
from dpgen_core.checks import require
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import RECOMMENDED
from dpgen_core.data.sets import ImageData, load, train_size
from dpgen_core.delivery.survey import mean_noise
from dpgen_core.evaluation.classifiers import train_classifier
from dpgen_core.records.provenance import provenance

RECORD_COUNTS_FILE = "record_counts.json"
KINDS = {
    **{"fashion_mnist": "drawings", "mnist": "strokes", "celeba": "photographs"},
    "pneumoniamnist": "scans",
}
EPSILONS = (1.0, 3.0, 10.0)
COUNTS = (500, 1_000, 3_000, 10_000, 30_000, 60_000)
SEEDS = (0, 1, 2)
SYNTHETIC, EPOCHS = 10_000, 8  # images that the CNN learns from, and its passes


@dataclass(frozen=True)
class Point(Named):
    """One release to learn from; `epsilon` None is the records themselves."""

    dataset: str
    num_records: int
    epsilon: float | None
    seed: int = 0


class Rule(NamedTuple):
    """Share of the accuracy that is left, 1 / (1 + (noise / half) ** slope)."""

    half: float  #: noise of a class mean, see `survey.mean_noise`, at which half is left
    slope: float

    def share(self, noise: float) -> float:
        """From 0, chance, to 1, all that the records themselves teach."""
        return float(_curve(noise, self.half, self.slope))

    def noise(self, share: float) -> float:
        """Inverse of `share`."""
        return self.half * (1 / share - 1) ** (1 / self.slope)


def points() -> Iterator[Point]:
    """All of them, the most informative first. A data set that is smaller ends the row of counts."""
    for seed in SEEDS:
        for dataset in KINDS:
            sizes = [*(n for n in COUNTS if n < train_size(dataset)), train_size(dataset)]
            for num_records in sizes:
                for epsilon in (*EPSILONS, None):
                    yield Point(dataset, min(num_records, COUNTS[-1]), epsilon, seed)


def load_record_counts(results: Path) -> dict[str, Any]:
    """What was measured so far: ``points``, by name, and ``made_with``."""
    return load_answers(results / RECORD_COUNTS_FILE)


def missing(results: Path) -> list[Point]:
    """The points that the file has no answer for, in order."""
    return unanswered(results / RECORD_COUNTS_FILE, "points", points())


def measure(point: Point, test: ImageData) -> dict[str, Any]:
    """Accuracy of a CNN on `test`, in [0, 1], and what it learned from."""
    started = time.process_time()
    records = load(point.dataset, "train", num_records=point.num_records, seed=point.seed)
    answer: dict[str, Any] = {"classes": len(records.class_names)}
    learned = records
    if point.epsilon is not None:
        config = make_config(
            dataset=point.dataset,
            method=RECOMMENDED[KINDS.get(point.dataset, "drawings")][0],
            epsilon=point.epsilon,
            num_records=point.num_records,
            seed=point.seed,
        )
        learned, _ = sample_alone(config, records, count=SYNTHETIC)
        answer |= {"method": config.method, "cells": config.prior.num_cells}
        answer["mean_noise"] = mean_noise(config)
    rows = slice(0, SYNTHETIC)  # of the records in their public random order
    student = train_classifier(
        *(learned.images[rows], learned.labels[rows]),
        architecture="cnn",
        num_classes=answer["classes"],
        seed=point.seed,
        epochs=EPOCHS,
    )
    answer["accuracy"] = student.accuracy(test.images, test.labels)
    answer["processor_seconds"] = round(time.process_time() - started, 1)
    return asdict(point) | answer


def run_all(left: Sequence[Point], results: Path) -> None:
    """Measure these points; the file is whole after each."""
    tests: dict[str, ImageData] = {}
    for point in left:
        if point.dataset not in tests:
            tests[point.dataset] = load(point.dataset, "test")
        answer = measure(point, tests[point.dataset])
        made_with = provenance(torch.device("cpu"))
        add_answer(
            results / RECORD_COUNTS_FILE, "points", point.name(), answer, made_with=made_with
        )
        print(f"{point.name()}: {answer['accuracy']:.4f}", flush=True)


def shares(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each release, means over seeds: its noise, and what is left of the accuracy.

    ``share`` is 0 at chance and 1 at the accuracy of the most records there are, without privacy.

    Args:
        found: from `load_record_counts`.
    """
    columns = ["dataset", "num_records", "epsilon", "classes", "mean_noise", "accuracy"]
    frame = pd.DataFrame(list(found.get("points", {}).values()), columns=columns)
    where = ["dataset", "num_records", "epsilon"]
    frame = frame.astype(dict.fromkeys(columns[1:], float))
    frame = frame.groupby(where, dropna=False, sort=False).mean().reset_index()
    real = frame[frame["epsilon"].isna()].sort_values("num_records")
    ceiling = real.groupby("dataset")["accuracy"].last()
    made = frame[frame["epsilon"].notna() & frame["dataset"].isin(ceiling.index)].copy()
    chance = 1 / made["classes"]
    made["share"] = (made["accuracy"] - chance) / (made["dataset"].map(ceiling) - chance)
    return made


def fitted(found: Mapping[str, Any], dataset: str) -> Rule:
    """The rule that is nearest to the measured shares of a data set.

    Raises:
        InvalidArgument: fewer than three releases were measured.
    """
    made = shares(found)
    made = made[made["dataset"] == dataset]
    fix = "python -m companion.studies.record_counts"
    require(len(made) >= 3, "found", len(made), "three measured releases or more", fix)
    noise, share = made["mean_noise"].to_numpy(float), made["share"].to_numpy(float)
    best, _ = curve_fit(_curve, noise, share, p0=(1.0, 1.0), bounds=(1e-3, (1e3, 10.0)))
    return Rule(*(float(value) for value in best))


def _curve(noise: Any, half: float, slope: float) -> Any:
    return 1 / (1 + (np.asarray(noise) / half) ** slope)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("record_counts", (__doc__ or "").split("\n")[0], arguments),
        missing=missing,
        run_all=run_all,
        named=Point.name,
    )


if __name__ == "__main__":
    sys.exit(main())
