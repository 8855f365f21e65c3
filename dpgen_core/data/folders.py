"""Your own images: a folder with one subfolder of images per class.

Under replace-one two data sets of equal size are neighbors if one record differs, whatever its name
and class. A record's *slot* decides its shard and whether it is held out. A secret run puts the files
into a uniformly random order under its key and takes slots from that: two neighbors then have a
coupling of their orders under which one slot differs, and as hockey-stick divergences are jointly
convex, its bound carries over to the mixture over orders (ours; ``book/privacy.md``). Names need be
neither unique nor public. A seeded run keeps the order of the names, which is public: its bound is
for a file that is replaced under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from dpgen_core.checks import InvalidArgument, require
from dpgen_core.streams import HiddenStream, stream

SHAPES: Mapping[str, tuple[int, int, int]] = {
    "folder_gray": (1, 28, 28),
    "folder_color": (3, 32, 32),
}
HELD_OUT = 6  # one slot in so many is kept for evaluation
Files = list[tuple[Path, int]]  # path and label


def class_names(folder: Path) -> tuple[str, ...]:
    """The subfolders' names, sorted; fewer than two are refused."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    found = f"{folder} with {len(names)} subfolders"
    rule = "a folder with one subfolder of images per class, two or more"
    fix = "DPGEN_DATA=/path/to/that/folder, or root="
    require(len(names) >= 2, "data folder", found, rule, fix)
    return tuple(names)


def split_size(folder: Path, split: str) -> int:
    """Records of a split, from the number of files alone."""
    return len(rows_of_split(len(_files(folder)), split, None))


def load_folder(
    name: str,
    folder: Path,
    split: str,
    pick: Callable[[int], Tensor],
    *,
    key: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Images and labels of a split.

    `name` of `SHAPES` decides size and channels, `split` is ``train``, ``test`` (one slot in six) or
    ``all``, `pick` goes from the number of records to the rows wanted, `key` as in `rows_of_split`.
    Images are float32 in [0, 1], (n, c, h, w), the middle square of each, resized; labels int64.
    """
    files = _files(folder)
    slots = rows_of_split(len(files), split, key)
    rows = slots[pick(len(slots))].tolist()
    images = torch.stack([_read(files[row][0], SHAPES[name]) for row in rows])
    return images, torch.tensor([files[row][1] for row in rows])


def rows_of_split(count: int, split: str, key: str | None) -> Tensor:
    """Files of a split as places in the order of the names, in the order of their slots.

    Which slots belong to a split follows from the number of files, `count`, alone. The run's secret
    `key` puts the files into slots; None leaves them in the order of the names, which is public.
    """
    held = count // HELD_OUT
    require(held > 0, "images", count, f"at least {HELD_OUT}", "more images")
    files = torch.arange(count) if key is None else secret_order(count, key)  # file of each slot
    if split == "all":
        return files
    order = torch.randperm(count, generator=stream(0, "held-out", count))
    return files[(order[:held] if split == "test" else order[held:]).sort().values]


def secret_order(count: int, key: str) -> Tensor:
    """A uniformly random permutation of ``range(count)`` under the secret key, (count,)."""
    attempt = 0
    while True:
        places = HiddenStream(key, "order", attempt).uniform(count)
        if len(places.unique()) == count:  # equal places would favor one of their orders
            return places.argsort()
        attempt += 1


def _files(folder: Path) -> Files:
    """Every image with its class, in the order of the file names."""
    from torchvision.datasets import ImageFolder  # slow to import

    class_names(folder)
    # A class without images is no error: whether it has one is up to single records.
    found = ImageFolder(str(folder), allow_empty=True).samples
    files = [(Path(path), label) for path, label in found]
    return sorted(files, key=lambda item: (item[0].name, item[1]))


def _read(path: Path, shape: tuple[int, int, int]) -> Tensor:
    """(c, side, side) in [0, 1]."""
    from torchvision.transforms import functional as transforms

    try:
        with Image.open(path) as image:
            loaded = image.convert("L" if shape[0] == 1 else "RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InvalidArgument(
            f"image: received {path}, but it cannot be read ({error}). Replace or remove the file."
        ) from error
    side = shape[1]
    small = transforms.resize(loaded, [side], antialias=True)
    return transforms.to_tensor(transforms.center_crop(small, [side, side]))
