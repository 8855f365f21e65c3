"""The paper's parts in other forms: does any of them help where the plain one does not?

``python -m companion.studies.part_forms [--list]`` trains `efsgd` with each form of a part and with
none of it, at epsilon 10 and at the same seeds, judges what it samples, and adds the answer to
``results/part_forms.json``; what is there already is left alone, so that it may be stopped at any
moment. No form costs privacy: each is a function of one owner's records, or of its own memory, before
the clip.

There are two steps. Every form is *screened* by one run on `SCREEN`. What is ahead of the runs without
the part there, in Frechet distance and in recall, is *tested*: on every data set, at five seeds, paired
by seed, as one family of comparisons. Only a test decides anything.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from companion.studies.resumable import Named, add_answer, load_answers, make_missing, unanswered
from companion.studies.train_alone import sample_alone
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import load
from dpgen_core.evaluation.classifiers import machine_cache
from dpgen_core.evaluation.looks import sharpness
from dpgen_core.evaluation.metrics import evaluate
from dpgen_core.records.provenance import provenance

PART_FORMS_FILE = "part_forms.json"
NONE = "none"
# Each form of the reconstruction loss was compared at the weight of the first.
_WEIGHT: dict[str, Any] = {"reconstruction_weight": 0.15}
# Settings by form, for each part; the form `NONE` is without the part.
FORMS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "reconstruction": {
        NONE: {"reconstruction_weight": 0.0},
        **{
            form.replace("-", " "): {"reconstruction_target": form} | _WEIGHT
            for form in ("matched", "assigned", "local-mean", "fine-modes", "near", "moments")
        },
        "early": {"reconstruction_target": "matched", "reconstruction_until": 0.25} | _WEIGHT,
    },
    "error feedback": {
        NONE: {"feedback_decay": 0.0},
        "decay 0.5": {},  # the preset's
        "decay 0.8": {"feedback_decay": 0.8},
        "decay 1": {"feedback_decay": 1.0},
        "decay 0.5, each image clipped": {"clip_mode": "per-image"},
        "none, each image clipped": {"feedback_decay": 0.0, "clip_mode": "per-image"},
    },
    "noise injection": {
        NONE: {"noise_injection": False},
        "pixel": {},  # the preset's
        **{form: {"noise_form": form} for form in ("channel", "coarse", "fine", "fixed")},
    },
}
DATASETS = ("fashion_mnist", "mnist", "celeba")
METHOD, EPSILON, SEEDS = "efsgd", 10.0, range(5)
SCREEN = "fashion_mnist", 0  # data set and seed
# What the screen let through, beside the runs without the part.
TESTED: Mapping[str, Sequence[str]] = {"reconstruction": (NONE, "moments")}
METRICS = ("g2r_cnn", "g2r_mlp", "real_cnn", "frechet_distance", "precision", "recall")


@dataclass(frozen=True)
class Point(Named):
    """One run."""

    part: str  #: of `FORMS`
    form: str  #: of that part
    dataset: str
    seed: int = 0

    def settings(self) -> dict[str, Any]:
        """Of the run, as in `make_config`."""
        same: dict[str, Any] = {"dataset": self.dataset, "seed": self.seed}
        same |= {"method": METHOD, "epsilon": EPSILON}
        return same | dict(FORMS[self.part][self.form])


def points() -> Iterator[Point]:
    """All of them: the screen, and then the tests, seed by seed."""
    screened = [Point(part, form, *SCREEN) for part, forms in FORMS.items() for form in forms]
    yield from screened
    for seed, part, dataset in itertools.product(SEEDS, TESTED, DATASETS):
        tested = (Point(part, form, dataset, seed) for form in TESTED[part])
        yield from (point for point in tested if point not in screened)


def load_part_forms(results: Path) -> dict[str, Any]:
    """What was measured so far: ``points``, by name, and ``made_with``."""
    return load_answers(results / PART_FORMS_FILE)


def missing(results: Path) -> list[Point]:
    """The points that the file has no answer for, in order."""
    return unanswered(results / PART_FORMS_FILE, "points", points())


def measure(point: Point, **settings: Any) -> dict[str, Any]:
    """Quality of one run's samples, and the seconds of one core that it took.

    `settings` as in `make_config`.
    """
    config = make_config(**point.settings() | settings)
    count = config.privacy.num_records
    records = load(point.dataset, "train", num_records=count, seed=point.seed)
    made, seconds = sample_alone(config, records, count=config.evaluation.synthetic_records)
    test = load(point.dataset, "test")
    how: dict[str, Any] = {"settings": config.evaluation, "seed": point.seed}
    metrics = evaluate(made, records, test, **how, cache_dir=machine_cache())
    looks = {"sharpness": sharpness(made.images), "sharpness_real": sharpness(test.images)}
    found = asdict(point) | {name: metrics[name] for name in METRICS} | looks
    return found | {"training_seconds": round(seconds, 1)}


def run_all(left: Sequence[Point], results: Path) -> None:
    """Measure these points; the file is whole after each. Equal runs are made once."""
    for point in left:
        found = load_part_forms(results).get("points", {})
        alike = (found.get(p.name()) for p in points() if p.settings() == point.settings())
        known = next((answer for answer in alike if answer), None)
        answer = known | asdict(point) if known else measure(point)
        made_with = provenance(torch.device("cpu"))
        add_answer(results / PART_FORMS_FILE, "points", point.name(), answer, made_with=made_with)
        print(f"{point.name()}: {_short(answer)}", flush=True)


def runs(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each point, in the form that `effects` compares: percent, and the form as method.

    Args:
        found: from `load_part_forms`.
    """
    frame = pd.DataFrame(list(found.get("points", {}).values()))
    if frame.empty:
        return frame
    frame["detail"] = frame["sharpness"] / frame["sharpness_real"]
    percent = ["g2r_cnn", "g2r_mlp", "real_cnn", "detail"]
    frame[percent] *= 100
    frame["method"] = frame["part"] + ": " + frame["form"]
    return frame.assign(target_epsilon=EPSILON, profile="quick")


def _short(answer: Mapping[str, Any]) -> str:
    names = ("g2r_cnn", "frechet_distance", "recall", "training_seconds")
    return ", ".join(f"{name} {answer[name]:.4g}" for name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("part_forms", (__doc__ or "").split("\n")[0], arguments),
        missing=missing,
        run_all=run_all,
        named=Point.name,
    )


if __name__ == "__main__":
    sys.exit(main())
