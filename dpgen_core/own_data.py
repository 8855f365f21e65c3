"""``python -m dpgen_core.own_data``: from a folder of your images to a synthetic set to hand over.

What is handed over is inside the guarantee: synthetic images by class, the privacy statement and the
figures it was made from. Metrics and diagnostics are computed from the private images and stay behind, in
the record.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dpgen_core.checks import require
from dpgen_core.config import make_config
from dpgen_core.data import dataset_spec
from dpgen_core.experiment import run_experiment
from dpgen_core.presets import DEFAULT_DELTA, PROFILES, method_names
from dpgen_core.record import Record
from dpgen_core.statement import FILE as STATEMENT
from dpgen_core.workspace import work_folder

PRIVACY = "privacy.json"


def hand_over(record: Record, target: Path, *, root: Path | str | None = None) -> Path:
    """Write what may leave: ``target/<class>/<number>.png``, the statement and ``privacy.json``.

    Args:
        record: of a run whose noise came from a secret source.
        target: a folder that does not exist yet; it appears whole or not at all.
        root: the folder that the run learned from, for the names of the classes; None takes `data_root`.

    Raises:
        InvalidArgument: the record's noise follows from a public seed, its key was not deleted, its
            synthetic images are gone, or `target` exists.
    """
    require(
        record.privacy["releasable"],
        "noise_source",
        record.config.noise_source,
        "'secret' for a release: seeded noise can be subtracted by whoever knows the seed",
        "make_config(..., noise_source='secret') and a new run",
    )
    key = work_folder(record.path.parent, record.path.name) / "secret"
    rule = "deleted before anything leaves: whoever has the key can subtract the noise"
    require(
        not key.exists(), "secret", str(key), rule, "run_experiment(config) again: it does that"
    )
    require(
        not target.exists(), "target", str(target), "a folder that does not exist yet", "another"
    )
    images, labels = _synthetic(record)
    names = dataset_spec(record.config.dataset, root=root).class_names
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_images(partial, images, labels, names)
    for file in (STATEMENT, PRIVACY):
        shutil.copy(record.path / file, partial / file)
    os.replace(partial, target)
    return target


def write_images(
    folder: Path, images: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> None:
    """One PNG per image, below a subfolder per class; a running number over all is the file name.

    Args:
        folder: made where it is missing.
        images: uint8, (n, c, h, w) with c 1 or 3.
        labels: (n,), places in `names`.
        names: of the classes.
    """
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)  # (h, w[, 3])
        Image.fromarray(pixels).save(folder / names[int(label)] / f"{number:06d}.png")


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: train on a folder, hand over the synthetic set."""
    parser = argparse.ArgumentParser(prog="python -m dpgen_core.own_data", description=__doc__)
    parser.add_argument("images", type=Path, help="folder with one subfolder of images per class")
    parser.add_argument("target", type=Path, help="folder to write, not there yet")
    parser.add_argument("--color", action="store_true", help="32x32 in color; default: 28x28 gray")
    parser.add_argument("--epsilon", type=float, required=True, help="the budget")
    parser.add_argument("--delta", type=float, default=DEFAULT_DELTA, help="below one over N")
    parser.add_argument("--method", choices=method_names(), default="mixture")
    parser.add_argument("--profile", choices=list(PROFILES), default="quick")
    parser.add_argument("--results", type=Path, default=Path("results/local"))
    options = parser.parse_args(arguments)
    target: Path = options.target
    require(
        not target.exists(), "target", str(target), "a folder that does not exist yet", "another"
    )
    config = make_config(
        dataset="folder_color" if options.color else "folder_gray",
        method=options.method,
        profile=options.profile,
        epsilon=options.epsilon,
        delta=options.delta,
        noise_source="secret",
        root=options.images,
    )
    record = run_experiment(config, results_dir=options.results, root=options.images)
    print(f"record, with private metrics: {record.path}")
    print(f"to hand over: {hand_over(record, target, root=options.images)}")


def _synthetic(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic images, uint8 (n, c, h, w), and labels (n,)."""
    path = record.path / "synthetic.npz"
    require(
        path.exists(), "record", str(record.path), "one whose synthetic.npz is there", "a new run"
    )
    with np.load(path, allow_pickle=False) as archive:
        return archive["images"], archive["labels"]


if __name__ == "__main__":
    main()
