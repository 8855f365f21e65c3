"""Your own images: a folder with one subfolder per class, as records in public slots.

Under replace-one two data sets are neighbors if one record differs, label included, and everybody
else's place stays what it was. In a folder of class folders that is not so by itself: counted class by
class, a record with another label shifts the number of every record after it, and with it the shard it
belongs to. So a record's slot is the rank of its *file name*, whatever its class. File names, their number
and the names of the classes are public; what a file shows and the folder it lies in are protected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms import functional as transforms

from dpgen_core.checks import InvalidArgument, require
from dpgen_core.streams import stream

SHAPES: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"folder_gray": (1, 28, 28), "folder_color": (3, 32, 32)}
)
HELD_OUT = 6  # one slot in so many is kept for evaluation


def class_names(folder: Path) -> tuple[str, ...]:
    """The subfolders' names, sorted.

    Raises:
        InvalidArgument: there are fewer than two.
    """
    names = (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    )
    require(
        len(names) >= 2,
        "data folder",
        f"{folder} with {len(names)} subfolders",
        "a folder with one subfolder of images per class, two or more",
        "DPGEN_DATA=/path/to/that/folder, or root=",
    )
    return tuple(names)


def split_size(folder: Path, split: str) -> int:
    """Records of a split, from the file names alone."""
    return len(_slots(_files(folder), split))


def load_folder(
    name: str, folder: Path, split: str, pick: Callable[[int], Tensor]
) -> tuple[Tensor, Tensor]:
    """Images and labels of a split.

    Args:
        name: a key of `SHAPES`; it decides size and channels.
        folder: one subfolder of images per class. File names are unique over all classes.
        split: ``train``, or ``test``: one slot in six, drawn by a public permutation.
        pick: from the number of records to the rows wanted.

    Returns:
        Images float32 in [0, 1], (n, c, h, w), the middle square of each, resized; labels int64, (n,).

    Raises:
        InvalidArgument: an unreadable image, names that occur twice, too few files.
    """
    files = _files(folder)
    slots = _slots(files, split)
    rows = slots[pick(len(slots))]
    images = torch.stack([_read(files[row][0], SHAPES[name]) for row in rows.tolist()])
    return images, torch.tensor([files[row][1] for row in rows.tolist()])


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Every image with its class, in the order of the file names."""
    class_names(folder)
    # A class without images is no error: whether it has one is up to single records.
    found = ImageFolder(str(folder), allow_empty=True).samples
    files = sorted(((Path(path), label) for path, label in found), key=lambda item: item[0].name)
    names = [path.name for path, _ in files]
    twice = sorted({a for a, b in pairwise(names) if a == b})
    require(
        not twice,
        "file names",
        twice[:3],
        "unique over all classes, as a name is a record's public slot",
        "putting a running number in front of each name",
    )
    return files


def _slots(files: list[tuple[Path, int]], split: str) -> Tensor:
    """Places in `files` that belong to a split; decided by how many files there are, nothing else."""
    order = torch.randperm(len(files), generator=stream(0, "held-out", len(files)))
    held = len(files) // HELD_OUT
    require(held > 0, "images", len(files), f"at least {HELD_OUT}", "more images")
    chosen = order[:held] if split == "test" else order[held:]
    return chosen.sort().values


def _read(path: Path, shape: tuple[int, int, int]) -> Tensor:
    try:
        with Image.open(path) as image:
            loaded = image.convert("L" if shape[0] == 1 else "RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InvalidArgument(
            f"image: received {path}, but it cannot be read ({error}). Replace or remove the file."
        ) from error
    side = shape[1]
    small = transforms.center_crop(transforms.resize(loaded, [side], antialias=True), [side, side])
    return transforms.to_tensor(small)  # (c, side, side)
