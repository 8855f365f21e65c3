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

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dpgen_core.checks import require
from dpgen_core.data import pictures
from dpgen_core.streams import HiddenStream, stream

SHAPES: Mapping[str, tuple[int, int, int]] = {  # where no other size is asked for
    "folder_gray": (1, 28, 28),
    "folder_color": (3, 32, 32),
}
HELD_OUT = 6  # one slot in so many is kept for evaluation
FEWEST_EVALUATED = 2 * HELD_OUT  # metrics ask for two held-out images
SPLITS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test", "testing"))
_SYSTEM = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN"))


@dataclass(frozen=True)
class Listing:
    """What a folder holds, by its names alone; no file was opened."""

    folder: Path
    class_names: tuple[str, ...]  #: the subfolders' names, sorted
    files: tuple[tuple[Path, int], ...]  #: path and label, in the order of the file names
    left_out: Mapping[str, tuple[str, ...]]  #: reason -> names of what was passed over

    def counts(self) -> list[int]:
        """Files by class; private."""
        labels = [label for _, label in self.files]
        return np.bincount(labels, minlength=len(self.class_names)).tolist()


def class_names(folder: Path) -> tuple[str, ...]:
    """The subfolders' names, sorted; refuses fewer than two, and splits in place of classes."""
    found = [p.name for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []
    names = sorted(name for name in found if not _hidden(name))
    counted = f"{folder} with {len(names)} subfolders"
    rule = "a folder with one subfolder of images per class, two or more"
    fix = "the folder that holds the classes' folders"
    require(
        bool(names) and not SPLITS.issuperset(name.lower() for name in names),
        "images",
        f"{folder} with {', '.join(names) or 'no subfolders'}",
        rule,
        f"{folder / names[0]}: these are parts of a data set, not classes" if names else fix,
    )
    require(len(names) >= 2, "images", counted, rule, fix)
    return tuple(names)


def list_folder(folder: Path) -> Listing:
    """Every file that is a picture by its ending, with its class; all others by reason.

    A class without images is no error: whether it has one is up to single records.
    """
    names = class_names(folder)
    files: list[tuple[Path, int]] = []
    left_out: dict[str, list[str]] = {}

    def leave(reason: str, path: Path) -> None:
        left_out.setdefault(reason, []).append(str(path.relative_to(folder)))

    for entry in sorted(folder.iterdir()):
        if _hidden(entry.name):
            leave("hidden, or made by the system", entry)
        elif entry.name not in names:
            leave("beside the classes' folders", entry)
    for label, name in enumerate(names):
        for where, folders, inside in os.walk(folder / name):
            at = Path(where)
            for hidden in filter(_hidden, (*folders, *inside)):
                leave("hidden, or made by the system", at / hidden)
            folders[:] = [inner for inner in folders if not _hidden(inner)]
            for path in (at / file for file in inside if not _hidden(file)):
                if path.suffix.lower() in pictures.ENDINGS:
                    files.append((path, label))
                else:
                    leave(f"ending {path.suffix or '(none)'}", path)
    files.sort(key=lambda item: (item[0].name, item[1], str(item[0])))
    sorted_out = {reason: tuple(sorted(some)) for reason, some in sorted(left_out.items())}
    return Listing(folder, names, tuple(files), sorted_out)


def check_apart(images: Path, **places: Path) -> None:
    """Refuse places to write, by name of the argument, that lie among the images.

    What is written among the images would be taken for private records by the next run.
    """
    inside = images.expanduser().resolve()
    for name, place in places.items():
        at = place.expanduser().resolve()
        apart = inside != at and inside not in at.parents
        require(apart, name, str(at), f"outside the images, {inside}", f"--{name} another folder")


def split_size(folder: Path, split: str, *, hold_out: bool = True) -> int:
    """Records of a split, from the number of files alone."""
    count = len(list_folder(folder).files)
    return len(rows_of_split(count, split, None, hold_out=hold_out))


def load_folder(
    folder: Path,
    split: str,
    pick: Callable[[int], Tensor],
    *,
    shape: tuple[int, int, int],
    key: str | None = None,
    maximum: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Images and labels of a split.

    `split` is ``train``, ``test`` (one slot in six) or ``all``, `pick` goes from the number of
    records to the rows wanted, `key` as in `rows_of_split`. Images are float32 in [0, 1],
    (n, *shape), each as in `pictures.read_picture` with that `maximum`; labels int64.

    Raises:
        InvalidArgument: some files cannot be read, and are named, or need a `maximum`.
    """
    listing = list_folder(folder)
    slots = rows_of_split(len(listing.files), split, key)
    rows = slots[pick(len(slots))].tolist()
    channels, size, _ = shape
    pixels = np.empty((len(rows), *shape), dtype=np.uint8)
    lost: dict[str, str] = {}
    deep: dict[str, str] = {}
    for place, row in enumerate(rows):
        path = listing.files[row][0]
        try:
            picture = pictures.read_picture(path, channels=channels, size=size, maximum=maximum)
        except pictures.TooDeep as error:
            deep[str(path.relative_to(folder))] = error.mode
        except pictures.Unreadable as error:
            lost[str(path.relative_to(folder))] = str(error)
        else:
            pixels[place] = picture
    pictures.check_readable(lost)
    pictures.check_depth(deep)
    labels = torch.tensor([listing.files[row][1] for row in rows], dtype=torch.int64)
    return torch.from_numpy(pixels).float().div_(255), labels


def rows_of_split(count: int, split: str, key: str | None, *, hold_out: bool = True) -> Tensor:
    """Files of a split as places in the order of the names, in the order of their slots.

    Which slots belong to a split follows from the number of files, `count`, alone; without
    `hold_out` all are in ``train``. The run's secret `key` puts the files into slots; None leaves
    them in the order of the names, which is public.
    """
    require(count > 0, "images", count, "at least 1", "a folder with pictures in it")
    files = torch.arange(count) if key is None else secret_order(count, key)  # file of each slot
    if split == "all":
        return files
    if not hold_out:
        return files if split == "train" else files[:0]
    fix = "more images, or none held out: --no-evaluation (evaluated=False)"
    require(count >= FEWEST_EVALUATED, "images", count, f"at least {FEWEST_EVALUATED}", fix)
    held = count // HELD_OUT
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


def _hidden(name: str) -> bool:
    """Whether a system or a program made this for itself."""
    return name.startswith(".") or name in _SYSTEM
