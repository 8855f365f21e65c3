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

from dpgen_core.checks import require

PARTITIONS = {"train": 0, "valid": 1, "test": 2}
Pick = Callable[[int], Tensor]  # from the number of records to the rows wanted
Shape = tuple[int, int, int]
Loaded = tuple[Tensor, Tensor]  # images and labels
_FRESH = "a fresh copy of the file"


def load_celeba(folder: Path, split: str, pick: Pick, shape: Shape) -> Loaded:
    """Images float32 in [0, 1], (n, *shape), and labels int64, (n,): 1 is male.

    Prepared parts must have the `shape` (c, h, w); torchvision's images are resized, not cropped.
    Raises `InvalidArgument` for a part that is damaged or missing, `FileNotFoundError` if neither
    layout is there.
    """
    return (_load_parts if _parts(folder) else _load_images)(folder, split, pick, shape)


def prepared_size(folder: Path, split: str) -> int | None:
    """Records of a split in the prepared parts, reading no images; None where there are none."""
    parts = _parts(folder)
    sizes = (int((_npz(part, "partition") == PARTITIONS[split]).sum()) for part in parts)
    return sum(sizes) if parts else None


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
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive[field]
        problem = "" if array.dtype == np.uint8 else str(array.dtype)
    except Exception as error:  # numpy, zipfile and zlib each raise their own
        problem = f"{type(error).__name__}: {error}"
    require(not problem, f"{field} in {path}", problem, "an unpickled array of uint8", _FRESH)
    return array


def _load_parts(folder: Path, split: str, pick: Pick, shape: Shape) -> Loaded:
    images, labels = [], []
    for path in _parts(folder):
        partition, male, pictures = (_npz(path, f) for f in ("partition", "male", "images"))
        n, shapes = len(partition), (partition.shape, male.shape, pictures.shape)
        rule = f"(N,), (N,) and (N, {', '.join(map(str, shape))})"
        require(shapes == ((n,), (n,), (n, *shape)), f"shapes in {path}", shapes, rule, _FRESH)
        for field, array, allowed in (("male", male, [0, 1]), ("partition", partition, [0, 1, 2])):
            values, rule = np.unique(array).tolist(), f"in {allowed}"
            require(set(values) <= set(allowed), f"{field} in {path}", values, rule, _FRESH)
        mine = partition == PARTITIONS[split]
        images.append(torch.from_numpy(pictures[mine]))
        labels.append(torch.from_numpy(male[mine]))
    rows = pick(sum(map(len, labels)))
    return torch.cat(images)[rows].float().div_(255), torch.cat(labels)[rows].long()


def _load_images(folder: Path, split: str, pick: Pick, shape: Shape) -> Loaded:
    from torchvision import datasets as tv  # slow to import
    from torchvision.transforms import functional as transforms

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
    return images, source.attr[rows, source.attr_names.index("Male")].long()
