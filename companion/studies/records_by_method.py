"""How many records each method needs: quality against N.

``python -m companion.studies.records_by_method [--list]`` trains each of `METHODS` on the first N records
of a public permutation, judges what it samples as `evaluate` judges a record, and adds the answer to
``results/records_by_method.json``; what is there already is left alone, so that it may be stopped at any
moment. With all records a run is one of the campaign, and `runs` takes it from there.

`record_counts` asks the same of the releases without rounds, at more counts and on more data sets.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from companion.studies.resumable import Named, load_answers, make_missing, measure_all, unanswered
from companion.studies.train_alone import sample_alone
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import load, train_size
from dpgen_core.evaluation.classifiers import machine_cache
from dpgen_core.evaluation.metrics import evaluate
from dpgen_core.records.record import Record

RECORDS_BY_METHOD_FILE = "records_by_method.json"
METHODS = ("mixture", "efsgd", "efsgd-prior", "efsgd-critic")
DATASETS = ("fashion_mnist", "mnist")
COUNTS = (1_000, 10_000)  # below all of them
EPSILONS = (10.0, 1.0)
SEEDS = (0, 1, 2)
METRICS = ("g2r_cnn", "real_cnn", "frechet_distance", "recall")
_COLUMNS = ("dataset", "method", "num_records", "epsilon", "seed", *METRICS)


@dataclass(frozen=True)
class Point(Named):
    """One run on few records."""

    dataset: str
    method: str
    num_records: int
    epsilon: float
    seed: int = 0


def points() -> Iterator[Point]:
    """All of them, the larger budget first, seed by seed."""
    for epsilon, seed in itertools.product(EPSILONS, SEEDS):
        for dataset, method, count in itertools.product(DATASETS, METHODS, COUNTS):
            yield Point(dataset, method, count, epsilon, seed)


def load_records_by_method(results: Path) -> dict[str, Any]:
    """What was measured so far: ``points``, by name, and ``made_with``."""
    return load_answers(results / RECORDS_BY_METHOD_FILE)


def missing(results: Path) -> list[Point]:
    """The points that the file has no answer for, in order."""
    return unanswered(results / RECORDS_BY_METHOD_FILE, "points", points())


def measure(point: Point, **settings: Any) -> dict[str, Any]:
    """Quality of one run's samples, and the seconds of one core that it took.

    The classifiers that judge have learned from all records: they are the same for every count.
    `settings` as in `make_config`.
    """
    config = make_config(**asdict(point) | settings)
    records = load(point.dataset, "train", num_records=point.num_records, seed=point.seed)
    made, seconds = sample_alone(config, records, count=config.evaluation.synthetic_records)
    everything, test = load(point.dataset, "train", seed=point.seed), load(point.dataset, "test")
    how: dict[str, Any] = {"settings": config.evaluation, "seed": point.seed}
    metrics = evaluate(made, everything, test, **how, cache_dir=machine_cache())
    found = asdict(point) | {name: metrics[name] for name in METRICS}
    return found | {"training_seconds": round(seconds, 1)}


def run_all(left: Sequence[Point], results: Path) -> None:
    """Measure these points; the file is whole after each."""
    measure_all(left, results / RECORDS_BY_METHOD_FILE, measure)


def runs(found: Mapping[str, Any], records: Sequence[Record]) -> pd.DataFrame:
    """A row for each run: this study's, and those of the campaign with all records at these seeds.

    Args:
        found: from `load_records_by_method`.
        records: from `committed_records`.
    """
    rows = [{name: one[name] for name in _COLUMNS} for one in found.get("points", {}).values()]
    for record in records:
        config, privacy = record.config, record.config.privacy
        asked = config.dataset in DATASETS and config.method in METHODS
        asked = asked and privacy.epsilon in EPSILONS and config.seed in SEEDS
        if (
            asked
            and config.profile == "quick"
            and privacy.num_records == train_size(config.dataset)
        ):
            about = (
                config.dataset,
                config.method,
                privacy.num_records,
                privacy.epsilon,
                config.seed,
            )
            values = (*about, *(record.metrics[name] for name in METRICS))
            rows.append(dict(zip(_COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(dict.fromkeys(METRICS, float))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("records_by_method", (__doc__ or "").split("\n")[0], arguments),
        missing=missing,
        run_all=run_all,
        named=Point.name,
    )


if __name__ == "__main__":
    sys.exit(main())
