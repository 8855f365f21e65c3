"""The folder to hand over: everything in it is inside the guarantee, and it appears whole.

=========================  ======================================================================
``images/<class>/*.png``   the synthetic images
``labels.csv``             file and class of each
``synthetic.npz``          the same in MedMNIST's form: ``train_images`` (n, h, w[, 3]), ``train_labels``
``statement.md``           the privacy statement
``privacy.json``           the figures that it was made from
``README.md``              data card in the form of the Hugging Face Hub
``generator.safetensors``  the released generator, see `training.sampler`
``config.json``            settings and versions of the run
``SHA256SUMS``             of all files above, for ``sha256sum -c``
=========================  ======================================================================
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from dpgen_core.checks import check_int, require
from dpgen_core.delivery.card import data_card
from dpgen_core.records.record import Record
from dpgen_core.records.statement import STATEMENT_FILE, privacy_statement
from dpgen_core.training.sampler import GENERATOR_FILE, Generator, load

Finish = Callable[[Path, dict[str, str]], None]
ARCHIVE_FILE, IMAGES_FOLDER = "synthetic.npz", "images"


def hand_over(
    record: Record,
    target: Path,
    *,
    count: int | None = None,
    per_class: int | None = None,
    proportional: bool = False,
) -> Path:
    """Write what may leave, drawn from the record's generator; `target` must not exist yet.

    Args:
        record: of a run with ``noise_source="secret"``.
        target: the folder, which appears whole or not at all.
        count: as in `training.sampler.Generator.sample`; by default the images are the run's own.
        per_class: likewise.
        proportional: likewise.

    Raises:
        InvalidArgument: the noise follows from a public seed, the key was not removed, or the
            generator is gone.
    """
    rule = "'secret' for a release: seeded noise can be subtracted by whoever knows the seed"
    fix = "make_config(..., noise_source='secret') and a new run"
    source = record.config.privacy.noise_source
    require(record.privacy["releasable"], "noise_source", source, rule, fix)
    rule = "one whose key was removed: whoever has the key can subtract the noise"
    fix = "run_experiment(config) again, where the run was made: it removes the key"
    require(record.key_removed, "record", str(record.path), rule, fix)
    generator = load(record.path)
    labels = generator.labels(count=count, per_class=per_class, proportional=proportional)
    privacy = dict(record.privacy)

    def finish(whole: Path, sums: dict[str, str]) -> None:
        privacy["synthetic"] = {"count": len(labels), "sha256": sums[ARCHIVE_FILE]}
        text = privacy_statement(config=record.config, run=record.run, privacy=privacy)
        (whole / STATEMENT_FILE).write_text(text)
        (whole / "privacy.json").write_text(json.dumps(privacy, indent=2, allow_nan=False) + "\n")
        names = generator.class_names
        counts = labels.bincount(minlength=len(names)).tolist()
        (whole / "README.md").write_text(data_card(record.config, privacy, names, counts))
        for file in (GENERATOR_FILE, "config.json"):
            shutil.copy(record.path / file, whole / file)

    return _write_whole(target, generator, labels, record.config.seed, finish)


def write_sample(generator: Generator, target: Path, *, seed: int | None = None, **how: Any) -> int:
    """Write images drawn as in `Generator.sample`: pictures, labels, archive and checksums.

    Returns how many were drawn.
    """
    labels = generator.labels(**how)
    seed = generator.config.seed if seed is None else seed
    check_int("seed", seed, low=0, fix="seed=1")
    _write_whole(target, generator, labels, seed, lambda whole, sums: None)
    return len(labels)


def write_images(
    folder: Path, images: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> list[tuple[str, str]]:
    """One PNG per image, in a subfolder per class; a running number over all is the file name.

    `images` are uint8 (n, c, h, w) with c 1 or 3, `labels` (n,) places in the class `names`.
    Returns path below `folder` and class of each.
    """
    places = class_folders(names)
    for place in places:
        (folder / place).mkdir(parents=True, exist_ok=True)
    written = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = f"{places[int(label)]}/{number:06d}.png"
        Image.fromarray(_upright(image)).save(folder / path)
        written.append((path, names[int(label)]))
    return written


def class_folders(names: Sequence[str]) -> list[str]:
    """A folder for each class, told apart where case is ignored, as on Windows and macOS.

    >>> class_folders(["A", "a", "b"])
    ['A', 'a-1', 'b']
    """
    folders: list[str] = []
    for place, name in enumerate(names):
        taken = {folder.casefold() for folder in folders}
        while name.casefold() in taken:
            name = f"{name}-{place}"
        folders.append(name)
    return folders


def check_target(target: Path) -> None:
    """Require a folder that is not there yet."""
    rule = "a folder that does not exist yet"
    require(not target.expanduser().exists(), "target", str(target), rule, "another name")


def _write_whole(
    target: Path, generator: Generator, labels: Tensor, seed: int, finish: Finish
) -> Path:
    """Draw, write beside the place and move it there; `finish` adds files, given the sums so far."""
    target = target.expanduser()
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    pixels, names = generator.pixels(labels, seed=seed).numpy(), generator.class_names
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        whole = Path(scratch) / target.name
        rows = write_images(whole / IMAGES_FOLDER, pixels, labels.numpy(), names)
        with open(whole / "labels.csv", "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("file", "label"))
            table.writerows((f"{IMAGES_FOLDER}/{path}", name) for path, name in rows)
        _write_archive(whole / ARCHIVE_FILE, pixels, labels)
        finish(whole, _sums(whole))
        lines = (f"{digest}  {name}\n" for name, digest in _sums(whole).items())
        (whole / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
        os.replace(whole, target)
    return target


def _write_archive(path: Path, pixels: np.ndarray, labels: Tensor) -> None:
    """MedMNIST's form: a part without images is empty, as its readers look for all three."""
    images = np.stack([_upright(image) for image in pixels])  # (n, h, w[, 3])
    column = labels.numpy()[:, None]  # (n, 1)
    parts = {"train": slice(None), "val": slice(0), "test": slice(0)}
    arrays = {f"{part}_images": images[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": column[rows] for part, rows in parts.items()}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def _upright(image: np.ndarray) -> np.ndarray:
    """(c, h, w) -> (h, w[, 3])."""
    return image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)


def _sums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below, by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
