"""CelebA at 32x32 with gender as the label: from prepared parts, or from torchvision's layout.

Prepared parts are ``celeba/celeba32-<n>.npz`` with 8-bit arrays ``images``, ``male`` and
``partition`` (the official split). They are checked before use, and nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets as tv
from torchvision.transforms import functional as transforms

from dpgen_core.checks import require

PARTITIONS = {"train": 0, "valid": 1, "test": 2}
Pick = Callable[[int], Tensor]  # from the number of records to the rows wanted


def load_celeba(
    folder: Path, split: str, pick: Pick, shape: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    """Images float32 in [0, 1], (n, *shape), and labels int64, (n,): 1 is male.

    `pick` turns the number of records in the split into the rows wanted. Prepared parts must have
    the `shape` (c, h, w); images of torchvision's layout are resized without cropping.

    Raises:
        InvalidArgument: a part is damaged, or one is missing.
        FileNotFoundError: neither layout is there.
    """
    load = _load_parts if _parts(folder) else _load_images
    return load(folder, split, pick, shape)


def prepared_size(folder: Path, split: str) -> int | None:
    """Records of a split in the prepared parts, reading no images; None where there are none."""
    parts = _parts(folder)
    sizes = (int((_npz(part, "partition") == PARTITIONS[split]).sum()) for part in parts)
    return sum(sizes) if parts else None


def available(folder: Path) -> bool:
    """Whether either layout is there; may raise what `load_celeba` would."""
    prepared = prepared_size(folder, "train")
    if prepared is None:
        tv.CelebA(str(folder), split="test", download=False)
    return prepared != 0


def _parts(folder: Path) -> list[Path]:
    """The prepared parts in order; with a gap in their numbers records would be lost."""
    paths = (folder / "celeba").glob("celeba32-*.npz")
    numbers = {int(p.stem[9:]): p for p in paths if p.stem[9:].isdecimal()}
    found, wanted = sorted(numbers), list(range(len(numbers)))
    rule = "numbered 0, 1, ... without a gap"
    require(found == wanted, f"celeba32-*.npz in {folder}", found, rule, "adding the missing parts")
    return [numbers[number] for number in found]


def _npz(path: Path, field: str) -> np.ndarray:
    """One 8-bit array of a part; anything else is an error, pickled objects above all."""
    problem = ""
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive[field]
            if array.dtype != np.uint8:
                problem = str(array.dtype)
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        problem = f"{type(error).__name__}: {error}"
    rule = "an unpickled array of uint8"
    require(not problem, f"{field} in {path}", problem, rule, "a fresh copy of the file")
    return array


def _load_parts(
    folder: Path, split: str, pick: Pick, shape: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    images, labels = [], []
    for path in _parts(folder):
        partition, male, pictures = (_npz(path, f) for f in ("partition", "male", "images"))
        n = len(partition)
        shapes = partition.shape, male.shape, pictures.shape
        rule = f"(N,), (N,) and (N, {', '.join(map(str, shape))})"
        good = shapes == ((n,), (n,), (n, *shape))
        require(good, f"shapes in {path}", shapes, rule, "a fresh copy of the file")
        for field, array, allowed in (("male", male, 2), ("partition", partition, 3)):
            values = np.unique(array).tolist()
            rule = f"in {list(range(allowed))}"
            good = all(value < allowed for value in values)
            require(good, f"{field} in {path}", values, rule, "a fresh copy of the file")
        mine = partition == PARTITIONS[split]
        images.append(torch.from_numpy(pictures[mine]))
        labels.append(torch.from_numpy(male[mine]))
    rows = pick(sum(map(len, labels)))
    chosen = torch.cat(images)[rows].float().div_(255)  # (N, 3, 32, 32)
    return chosen, torch.cat(labels)[rows].long()


def _load_images(
    folder: Path, split: str, pick: Pick, shape: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    try:
        source = tv.CelebA(str(folder), split=split, target_type="attr", download=False)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"celeba: found neither celeba/celeba32-*.npz nor torchvision's layout below {folder} "
            f"({error}). Get CelebA from its authors (research license) and set DPGEN_DATA, or use "
            "dataset='glyphs', which needs no files."
        ) from error
    rows = pick(len(source.attr))
    side = list(shape[1:])
    small = (transforms.resize(source[row][0], side, antialias=True) for row in rows.tolist())
    images = torch.stack([transforms.to_tensor(image) for image in small])  # (N, 3, 32, 32)
    male = source.attr[rows, source.attr_names.index("Male")]
    return images, male.long()
