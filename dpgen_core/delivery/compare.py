"""Metrics of a finished set of synthetic images against real ones, apart from any training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dpgen_core.checks import require
from dpgen_core.data import sets
from dpgen_core.data.folders import SHAPES, check_apart, list_folder, load_pool
from dpgen_core.delivery.handover import IMAGES_FOLDER
from dpgen_core.evaluation.metrics import EvaluationSettings, evaluate
from dpgen_core.files import write_private


def compare(
    synthetic: Path,
    images: Path,
    *,
    results: Path,
    maximum: float | None = None,
    epochs: int = EvaluationSettings.classifier_epochs,
    seed: int = 0,
) -> Path:
    """Compute the metrics of `evaluation.evaluate`, and write them where private things are kept.

    Args:
        synthetic: a folder with one subfolder of images per class, or one that was handed over.
        images: the same of real images, of which one in six is tested on. What the generator
            learned from is no held-out data: its metrics flatter.
        results: the file goes to ``private`` below it.
        maximum: value shown as white in real files of more than 8 bits.
        epochs: passes of each classifier.
        seed: public.

    Returns:
        The file, JSON.

    Raises:
        InvalidArgument: the two have other classes, or files that cannot be read.
    """
    check_apart(images, results=results)
    inner = synthetic.expanduser() / IMAGES_FOLDER
    made_in = inner if inner.is_dir() else synthetic.expanduser()
    listing, real = list_folder(made_in), list_folder(images.expanduser())
    rule = f"those of the real images, {', '.join(real.class_names)}"
    same = listing.class_names == real.class_names
    require(same, "classes", ", ".join(listing.class_names), rule, "a set made of these images")
    require(bool(listing.files), "synthetic", str(made_in), "a folder with pictures", "another")
    with listing.picture(0) as first:
        name, size = ("folder_gray" if first.mode == "L" else "folder_color"), first.size[0]
    shape = (SHAPES[name][0], size, size)
    how: dict[str, Any] = {"num_records": None, "seed": seed, "key": None}
    made = sets.split_pool(load_pool(name, made_in, shape=shape), "all", **how)
    pool = load_pool(name, images.expanduser(), shape=shape, maximum=maximum)
    train, test = (sets.split_pool(pool, part, **how) for part in ("train", "test"))
    settings = EvaluationSettings(classifier_epochs=epochs).for_side(size)
    metrics = evaluate(made, train, test, settings=settings, seed=seed)
    told = {"synthetic": len(made.labels), "real": len(train.labels) + len(test.labels)}
    return _write(results, {"images": told, "metrics": metrics}, f"{made_in}/{images}/{seed}")


def _write(results: Path, found: Mapping[str, Any], what: str) -> Path:
    """Write atomically, for nobody else to read."""
    folder = results.expanduser() / "private"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"evaluation-{hashlib.sha256(what.encode()).hexdigest()[:8]}.json"
    write_private(path, json.dumps(found, indent=2, allow_nan=False) + "\n")
    return path
