"""Chest X-rays from `check` to `sample`, as somebody who answers for such images would go about it.

``python -m companion.studies.worked_example [--list]`` writes PneumoniaMNIST's training images into a
folder per class, makes a set to hand over from it at three budgets, draws more images from the
released generator, and asks PneumoniaMNIST's test images, which are of other children, how good they
are: overall and class by class. Answers are added to ``results/worked_example.json``, and the first
images of each set to ``results/worked_example.png``, a row each. What is there already is left alone,
so that it may be stopped at any moment.

Noise comes from a key that is deleted, as for any images of one's own: a second run gives other
figures. `repeat` counts the runs of one kind.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from companion.studies.resumable import Named, add_answer, load_answers, make_missing, unanswered
from dpgen_core.data.sets import ImageData, load
from dpgen_core.delivery import check, synthesize, write_images
from dpgen_core.evaluation.classifiers import (
    TrainedClassifier,
    cached_classifier,
    machine_cache,
    train_classifier,
)
from dpgen_core.evaluation.metrics import frechet_distance, precision_recall
from dpgen_core.files import whole
from dpgen_core.pixels import to_bytes
from dpgen_core.records.provenance import provenance
from dpgen_core.records.record import STATEMENT_FILE
from dpgen_core.training.sampler import load as load_generator

WORKED_EXAMPLE_FILE = "worked_example.json"
SHEET_FILE = "worked_example.png"
DATASET, TITLE = "pneumoniamnist", "Chest X-rays of children"
DESCRIPTION = "PneumoniaMNIST, of MedMNIST v2 (CC BY 4.0): its training and validation images"
EPSILONS = (10.0, 3.0, 1.0)
KINDS = ("scans", "drawings")  # the right one, and the one for gray images that nobody named
REPEATS = (0, 1, 2)
_ROWS = tuple((kind, epsilon) for kind in KINDS for epsilon in EPSILONS)  # of the sheet
PER_CLASS, EPOCHS = 5_000, 8  # synthetic images drawn from the generator, and the judges' passes
SHOWN = 8  # of each class on the sheet


@dataclass(frozen=True)
class Step(Named):
    """One set made; without a budget, the real images themselves."""

    kind: str | None
    epsilon: float | None
    repeat: int = 0


def steps() -> Iterator[Step]:
    """All of them, the most informative first."""
    for repeat in REPEATS:
        yield Step(None, None, repeat)
        for kind in KINDS:
            for epsilon in EPSILONS:
                yield Step(kind, epsilon, repeat)


def load_worked_example(results: Path) -> dict[str, Any]:
    """What was measured so far: ``steps``, by name, and ``made_with``."""
    return load_answers(results / WORKED_EXAMPLE_FILE)


def missing(results: Path) -> list[Step]:
    """The steps that the file has no answer for, in order."""
    return unanswered(results / WORKED_EXAMPLE_FILE, "steps", steps())


def make(step: Step, records: ImageData, scratch: Path) -> tuple[ImageData, dict[str, Any]]:
    """The command's way from a folder to images, and what was said and spent on it."""
    assert step.kind is not None and step.epsilon is not None
    folder, released, results = (scratch / name for name in ("images", "released", "results"))
    pixels, names = to_bytes(records.images).numpy(), records.class_names
    write_images(folder, pixels, records.labels.numpy(), names)
    about: dict[str, Any] = {"title": TITLE, "description": DESCRIPTION, "results": results}
    about |= {"kind": step.kind, "epsilon": step.epsilon, "evaluated": False}
    said: list[str] = []
    check(folder, say=said.append, **about)
    started = time.perf_counter()
    record = synthesize(folder, released, say=lambda line: None, **about)
    seconds = time.perf_counter() - started
    more = load_generator(released).sample(per_class=PER_CLASS, seed=1)
    made = ImageData("synthetic", more.images, more.labels, more.class_names)
    return made, {
        "said": [line for line in said if "forecast" not in line],  # which depends on the machine
        "method": record.config.method,
        "spent": record.privacy["epsilon"]["rdp"],
        "seconds": round(seconds, 1),
        "statement": (released / STATEMENT_FILE).read_text(),
    }


def by_class(judge: TrainedClassifier, test: ImageData) -> dict[str, float]:
    """Accuracy on all test images, and on those of each class; in [0, 1]."""
    right = (judge.logits(test.images).argmax(1) == test.labels).double()
    single = {
        f"accuracy of {name}": float(right[test.labels == label].mean())
        for label, name in enumerate(test.class_names)
    }
    return {"accuracy": float(right.mean())} | single


def measure(step: Step, records: ImageData, test: ImageData) -> tuple[dict[str, Any], np.ndarray]:
    """The answer to one step, and the first images, uint8 (classes * `SHOWN`, h, w)."""
    classes = len(test.class_names)
    protocol: dict[str, Any] = {"architecture": "cnn", "num_classes": classes, "epochs": EPOCHS}
    if step.epsilon is None:
        judge = train_classifier(records.images, records.labels, seed=step.repeat, **protocol)
        return asdict(step) | by_class(judge, test), np.empty((0, 28, 28), np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        made, about = make(step, records, Path(scratch))
    student = train_classifier(made.images, made.labels, seed=step.repeat, **protocol)
    judge = cached_classifier(records, seed=0, cache_dir=machine_cache(), **protocol)
    seen, real = judge.features(made.images), judge.features(test.images)
    _, recall = precision_recall(real, seen[: len(real)])
    answer = asdict(step) | about | by_class(student, test)
    answer |= {"frechet_distance": frechet_distance(seen, real), "recall": recall}
    first = torch.cat([(made.labels == label).nonzero()[:SHOWN, 0] for label in range(classes)])
    return answer, to_bytes(made.images[first])[:, 0].numpy()


def run_all(left: Sequence[Step], results: Path) -> None:
    """Measure these steps; both files are whole after each."""
    records, test = (load(DATASET, split) for split in ("train", "test"))
    for step in left:
        answer, shown = measure(step, records, test)
        if step.repeat == 0 and len(shown):
            _keep(results / SHEET_FILE, step, shown)
        made_with = provenance(torch.device("cpu"))
        path = results / WORKED_EXAMPLE_FILE
        add_answer(path, "steps", step.name(), answer, made_with=made_with)
        print(f"{step.name()}: {answer['accuracy']:.4f}", flush=True)


def shown_images(path: Path, step: Step) -> np.ndarray:
    """The first images of a set on the sheet, uint8 (classes * `SHOWN`, h, w), class by class."""
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet)  # (sets * h, classes * SHOWN * w)
    row = np.split(pixels, len(_ROWS))[_ROWS.index((step.kind, step.epsilon))]
    return np.stack(np.split(row, row.shape[1] // row.shape[0], axis=1))


def _keep(path: Path, step: Step, images: np.ndarray) -> None:
    """Put images on their row of the sheet, which is whole before and after."""
    row = np.concatenate([*images], axis=1)  # (h, classes * SHOWN * w)
    height, place = len(row), _ROWS.index((step.kind, step.epsilon))
    pixels = np.full((len(_ROWS) * height, row.shape[1]), 255, np.uint8)
    if path.exists():
        with Image.open(path) as sheet:
            pixels = np.array(sheet)
    pixels[place * height : (place + 1) * height] = row
    with whole(path) as partial, open(partial, "wb") as file:
        Image.fromarray(pixels).save(file, "png", optimize=True)


def means(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each kind and budget, means over repeats, in the order of `steps`; ``n`` of them.

    Args:
        found: from `load_worked_example`.
    """
    answers = found.get("steps", {})
    frame = pd.DataFrame([answers[step.name()] for step in steps() if step.name() in answers])
    if frame.empty:
        return frame
    frame = frame.drop(columns=["said", "method", "repeat", "statement"], errors="ignore")
    grouped = frame.groupby(["kind", "epsilon"], dropna=False, sort=False)
    return grouped.mean().join(grouped.size().rename("n")).reset_index()


def recommended(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first answer of the right kind at epsilon 3, whose report the page shows."""
    return found["steps"][Step(KINDS[0], 3.0).name()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    return make_missing(
        *("worked_example", (__doc__ or "").split("\n")[0], arguments),
        missing=missing,
        run_all=run_all,
        named=Step.name,
    )


if __name__ == "__main__":
    sys.exit(main())
