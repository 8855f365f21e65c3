"""Judge a set that lies on disk, and keep the answer beside it.

A *set* is an archive ``.npz`` of ``images``, uint8 (n, c, h, w), and ``labels``, (n,), or a folder
that holds one as ``synthetic.npz``: a record, or what was handed over. The answer is computed from
real records, so in a record it goes to where the metrics are, as ``judged-NAME.json``, and otherwise
beside the archive or the folder, never into what may be handed over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dpgen_core.checks import check_choice, require
from dpgen_core.data.dither import dithered, grained
from dpgen_core.data.sets import DATASETS, ImageData, load
from dpgen_core.evaluation.judging import SEEDS, judge_set
from dpgen_core.evaluation.protocols import PROTOCOLS
from dpgen_core.files import write_whole

ARCHIVE_FILE = "synthetic.npz"


def judge_stored(
    path: Path | str,
    *,
    protocol: str = "deep",
    dataset: str | None = None,
    seeds: Sequence[int] = SEEDS,
    dither: float = 0.0,
    grain: float = 0.0,
    root: Path | str | None = None,
    out: Path | str | None = None,
    device: str = "auto",
    cache_dir: Path | str | None = None,
) -> Path:
    """Judge the set at `path` by a protocol of `PROTOCOLS` and write the answer; its path.

    Args:
        path: the set, see above.
        protocol: a name in `PROTOCOLS`.
        dataset: a name in `data.sets.DATASETS`, of the real images to compare with; None takes that
            of the record. A set of one's own folder cannot be judged again: which of its files the
            run held out went with the run's key.
        seeds: of the judges.
        dither: standard deviation of pixel noise to add first; the answer names it.
        grain: the largest standard deviation of grain to add first; the answer names it.
        root: data folder, see `data.sets.data_root`.
        out: where the answer goes; None takes the place named above.
        device: ``auto`` takes CUDA where there is one.
        cache_dir: see `judge_set`; private.

    Raises:
        InvalidArgument: no set at `path`, an unknown name, a set of another shape; nothing is
            written then.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    source = Path(path)
    archive = _find(source, ARCHIVE_FILE) if source.is_dir() else source
    rule = f"an archive .npz, or a folder that holds {ARCHIVE_FILE}"
    require(archive.is_file(), "path", str(path), rule, "the folder of a finished run")
    config = _config(source)
    name = dataset or config.get("dataset", "")
    check_choice("dataset", name, DATASETS)
    learned = {"num_records": config.get("num_records"), "seed": config.get("seed", 0)}
    train = load(name, "train", root=root, **(learned if name == config.get("dataset") else {}))
    test = load(name, "test", root=root)
    made = read_set(archive, train)
    if dither:
        made = dithered(made, std=dither)
    if grain:
        made = grained(made, largest=grain)
    found = judge_set(
        *(made, train, test),
        protocol=protocol,
        seeds=seeds,
        device=device,
        cache_dir=None if cache_dir is None else Path(cache_dir),
    )
    found = {"dataset": name, "dither": dither, "grain": grain} | found
    target = _answer_path(source, protocol) if out is None else Path(out)
    write_whole(target, json.dumps(found, indent=2) + "\n")
    return target


def read_set(archive: Path, like: ImageData) -> ImageData:
    """The images of an archive, with the class names of `like`. Nothing is unpickled."""
    with np.load(archive, allow_pickle=False) as arrays:
        rule = "an archive of 'images' and 'labels'"
        there = sorted(arrays.files)
        require({"images", "labels"} <= set(there), "path", there, rule, "synthetic.npz")
        images, labels = arrays["images"], arrays["labels"]
    require(images.dtype == np.uint8, "images", str(images.dtype), "uint8", "to_bytes(images)")
    pixels = torch.from_numpy(images).float().div_(255)
    return ImageData(f"synthetic-{like.name}", pixels, torch.from_numpy(labels), like.class_names)


def _config(source: Path) -> dict[str, Any]:
    """The settings of a record, by flat name; empty where there are none."""
    path = source / "config.json"
    return json.loads(path.read_text())["config"] if path.is_file() else {}


def _find(folder: Path, name: str) -> Path:
    """A file of a record, which keeps some of its files in ``private``."""
    hidden = folder / "private" / name
    return hidden if hidden.exists() else folder / name


def _answer_path(source: Path, protocol: str) -> Path:
    name = f"judged-{protocol}.json"
    metrics = _find(source, "metrics.json")
    if metrics.is_file():
        return metrics.with_name(name)
    return source.with_name(f"{source.stem if source.is_file() else source.name}-{name}")
