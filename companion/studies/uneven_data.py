"""Does the memory of the owners help where their records are uneven?

Owners whose contributions have equal norms give error feedback no bias to repair. Here they have
reason to differ: each owner holds records of few classes (the federated case), or one class is rare.
``python -m companion.studies.uneven_data [--list]`` trains `efsgd` on such records with and without
the memory, at epsilon 10 and at the same seeds, judges what it samples, all classes and the one that
is `watched`, and adds the answer to ``results/uneven_data.json``; what is there already is left alone,
so that it may be stopped at any moment.

The shards stay a public function of N and the seed. Records are put in an order in which these shards
are uneven, as if they had come from such owners.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from companion.studies.resumable import Named, load_answers, make_missing, measure_all, unanswered
from companion.studies.train_alone import sample_alone
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation.classifiers import cached_classifier, machine_cache, train_classifier
from dpgen_core.evaluation.metrics import (
    EvaluationSettings,
    frechet_distance,
    precision_recall,
    subset,
)
from dpgen_core.streams import stream
from dpgen_core.training.owners import assign_shards

UNEVEN_DATA_FILE = "uneven_data.json"
CONCENTRATION = 0.1  # of the Dirichlet law of an owner's classes; the less, the fewer classes
RARE_SHARE = 0.01  # of all records, in the rare class
METHODS = ("efsgd", "efsgd/no-error-feedback")
DATASETS = ("mnist", "fashion_mnist")
EPSILON, SEEDS = 10.0, range(5)


def skewed_owners(data: ImageData, *, num_shards: int, seed: int) -> ImageData:
    """The same records in an order in which each shard holds few classes (`CONCENTRATION`).

    The usual form of uneven owners in federated learning (Hsu, Qi & Brown 2019, arXiv 1909.06335).
    """
    random = np.random.default_rng(seed)
    shards = assign_shards(len(data.labels), num_shards, seed=seed)  # (K, n)
    by_class = (torch.nonzero(data.labels == c).flatten() for c in range(len(data.class_names)))
    pools = [random.permutation(rows.numpy()).tolist() for rows in by_class]
    order = np.full(len(data.labels), -1)
    for places in shards.numpy():
        mix = random.dirichlet(np.full(len(pools), CONCENTRATION))
        for place in places:
            # A class that is used up leaves its share to the others.
            left = np.where([bool(pool) for pool in pools], mix + 1e-9, 0.0)
            order[place] = pools[random.choice(len(pools), p=left / left.sum())].pop()
    rest = [row for pool in pools for row in pool]  # what no shard holds
    order[order < 0] = rest
    return data.at(torch.from_numpy(order))


def rare_class(data: ImageData, *, num_shards: int, seed: int) -> ImageData:
    """All records but most of those of one class, so that `RARE_SHARE` of what is left has it."""
    rare = torch.nonzero(data.labels == watched(seed, len(data.class_names))).flatten()
    others = len(data.labels) - len(rare)
    kept = round(others * RARE_SHARE / (1 - RARE_SHARE))
    chosen = rare[torch.randperm(len(rare), generator=stream(seed, "rare"))[kept:]]
    keep = torch.ones(len(data.labels), dtype=torch.bool)
    keep[chosen] = False
    return data.at(torch.nonzero(keep).flatten())


SKEWED, RARE = "skewed owners", "rare class"
CASES: Mapping[str, Callable[..., ImageData]] = {SKEWED: skewed_owners, RARE: rare_class}


def watched(seed: int, num_classes: int) -> int:
    """The class that is rare, and is judged alone: another one for each seed."""
    return seed % num_classes


@dataclass(frozen=True)
class Point(Named):
    """One run."""

    case: str  #: of `CASES`
    method: str  #: of `METHODS`
    dataset: str
    seed: int = 0


def points() -> Iterator[Point]:
    """All of them, seed by seed."""
    for seed, dataset, case, method in itertools.product(SEEDS, DATASETS, CASES, METHODS):
        yield Point(case, method, dataset, seed)


def load_uneven_data(results: Path) -> dict[str, Any]:
    """What was measured so far: ``points``, by name, and ``made_with``."""
    return load_answers(results / UNEVEN_DATA_FILE)


def missing(results: Path) -> list[Point]:
    """The points that the file has no answer for, in order."""
    return unanswered(results / UNEVEN_DATA_FILE, "points", points())


def measure(point: Point, **settings: Any) -> dict[str, Any]:
    """Quality of one run's samples, over all classes and of the watched one, and the seconds of one core.

    `settings` as in `make_config`.
    """
    count = settings.pop("num_records", None)
    everything = load(point.dataset, "train", num_records=count, seed=point.seed)
    same: dict[str, Any] = {"dataset": point.dataset, "seed": point.seed, "epsilon": EPSILON}
    same |= {"method": point.method} | settings
    shards = make_config(**same, num_records=len(everything.labels)).privacy.num_shards
    records = CASES[point.case](everything, num_shards=shards, seed=point.seed)
    config = make_config(**same, num_records=len(records.labels))
    made, seconds = sample_alone(config, records, count=config.evaluation.synthetic_records)
    found = judged(made, everything, load(point.dataset, "test"), config.evaluation, point.seed)
    return asdict(point) | found | {"training_seconds": round(seconds, 1)}


def judged(
    made: ImageData, real: ImageData, test: ImageData, settings: EvaluationSettings, seed: int
) -> dict[str, float]:
    """g2r, Frechet distance and recall by the CNN, and g2r and recall of the watched class alone.

    Args:
        made: the set to judge.
        real: records of every class, from which the judge learns; not those that `made` is from.
        test: real records that nothing was learned from.
        settings: how much data and work.
        seed: of the classifiers, and of the watched class.
    """
    classes = len(test.class_names)
    how: dict[str, Any] = {"architecture": "cnn", "num_classes": classes, "seed": seed}
    how["epochs"] = settings.classifier_epochs
    known = subset(real, settings.real_records, seed)
    judge = cached_classifier(known, cache_dir=machine_cache(), **how)
    student = train_classifier(made.images, made.labels, **how)
    right = student.logits(test.images).argmax(1) == test.labels
    by_made, by_test = judge.features(made.images), judge.features(test.images)
    one = watched(seed, classes)
    few = settings.neighbor_records
    alone = [
        features[data.labels == one][:few] for features, data in ((by_test, test), (by_made, made))
    ]
    return {
        "watched": one,
        "g2r_cnn": float(right.double().mean()),
        "g2r_watched": float(right[test.labels == one].double().mean()),
        "frechet_distance": frechet_distance(by_made, by_test),
        "recall": precision_recall(by_test[:few], by_made[:few])[1],
        "recall_watched": precision_recall(alone[0], alone[1])[1],
    }


def run_all(left: Sequence[Point], results: Path) -> None:
    """Measure these points; the file is whole after each."""
    measure_all(left, results / UNEVEN_DATA_FILE, measure)


def runs(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each point, in the form that `effects` compares: percent, case and method in one.

    Args:
        found: from `load_uneven_data`.
    """
    frame = pd.DataFrame(list(found.get("points", {}).values()))
    if frame.empty:
        return frame
    frame[["g2r_cnn", "g2r_watched"]] *= 100
    frame["method"] = frame["case"] + ": " + frame["method"]
    return frame.assign(target_epsilon=EPSILON, profile="quick")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("uneven_data", (__doc__ or "").split("\n")[0], arguments),
        missing=missing,
        run_all=run_all,
        named=Point.name,
    )


if __name__ == "__main__":
    sys.exit(main())
