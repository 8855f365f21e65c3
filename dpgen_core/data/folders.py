"""Your own images: a folder with one subfolder per class or a ``labels.csv``, or an ``.npz``.

Under replace-one two data sets of equal size are neighbors if one record differs, whatever its name
and class. A record's *slot* decides its shard and whether it is held out. A secret run puts the files
into a uniformly random order under its key and takes slots from that: two neighbors then have a
coupling of their orders under which one slot differs, and as hockey-stick divergences are jointly
convex, its bound carries over to the mixture over orders (ours; ``book/privacy.md``). Names need be
neither unique nor public. A seeded run keeps the order of the names, which is public: its bound is
for a file that is replaced under the same name.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dpgen_core.checks import require
from dpgen_core.data import archives, pictures
from dpgen_core.data.label_table import TABLE_FILE, bounded, read_table
from dpgen_core.streams import HiddenStream, stream

SHAPES: Mapping[str, tuple[int, int, int]] = {  # where no other size is asked for
    "folder_gray": (1, 28, 28),
    "folder_color": (3, 32, 32),
}
HELD_OUT = 6  # one slot in so many is kept for evaluation
FEWEST_EVALUATED = 2 * HELD_OUT  # metrics ask for two held-out images
SPLITS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test", "testing"))
_RULE = "a folder with one subfolder of images per class, two or more, or a labels.csv, or an .npz"
_SYSTEM = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN"))


@dataclass(frozen=True)
class Listing:
    """What a folder holds, by its names alone, or what is in an archive."""

    folder: Path
    class_names: tuple[str, ...]  #: the subfolders' names, sorted
    files: tuple[tuple[Path, int], ...]  #: path and label, in the order of the file names
    left_out: Mapping[str, tuple[str, ...]]  #: reason -> names of what was passed over
    persons: tuple[int, ...] = ()  #: images of each person, kept or not, where a table names them
    arrays: archives.Images | None = None  #: the images of an archive

    def picture(self, place: int) -> Image.Image:
        """The picture at a place in `files`; raises `pictures.Unreadable`."""
        if self.arrays is None:
            return pictures.open_picture(self.files[place][0])
        return Image.fromarray(self.arrays[place])

    def digest(self, place: int) -> str:
        """SHA-256 of the file at that place, or of its pixels in an archive."""
        if self.arrays is None:
            with open(self.files[place][0], "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(self.arrays[place].tobytes()).hexdigest()

    def counts(self) -> list[int]:
        """Files by class; private."""
        labels = [label for _, label in self.files]
        return np.bincount(labels, minlength=len(self.class_names)).tolist()


def class_names(folder: Path) -> tuple[str, ...]:
    """The labels of the folder's table, or its subfolders' names, sorted.

    Fewer than two are refused, and so are the parts of a split in place of classes.
    """
    if _is_archive(folder):
        names = [str(label) for label in range(1 + int(archives.read_labels(folder).max()))]
        what = f"{folder} with {len(names)} labels"
    elif (folder / TABLE_FILE).is_file():
        names = sorted({row.label for row in read_table(folder)})
        what = f"{folder / TABLE_FILE} with {len(names)} labels"
    else:
        found = [p.name for p in folder.iterdir() if p.is_dir()] if folder.is_dir() else []
        names = sorted(name for name in found if not _hidden(name))
        what = f"{folder} with {len(names)} subfolders"
        if names and SPLITS.issuperset(name.lower() for name in names):
            what = f"{folder} with {', '.join(names)}"
            fix = f"{folder / names[0]}: these are parts of a data set, not classes"
            require(False, "images", what, _RULE, fix)
    require(len(names) >= 2, "images", what, _RULE, "the folder that holds the classes' folders")
    return tuple(names)


def list_folder(folder: Path, *, per_person: int | None = None) -> Listing:
    """Every file that is a picture by its ending, with its class; all others by reason.

    A class without images is no error: whether it has one is up to single records. With `per_person`
    at most so many of each person are listed, see `label_table.bounded`.
    """
    names = class_names(folder)
    if not _is_archive(folder) and (folder / TABLE_FILE).is_file():
        return _list_table(folder, names, per_person)
    rule = f"None for images without a {TABLE_FILE}, which says whom they show"
    fix = f"a {TABLE_FILE} with columns file, label and person, or --unit image (unit='image')"
    require(per_person is None, "images_per_person", per_person, rule, fix)
    if _is_archive(folder):
        return _list_archive(folder, names)
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
    sorted_out = {reason: tuple(sorted(some)) for reason, some in sorted(left_out.items())}
    return Listing(folder, names, tuple(sorted(files, key=_by_name)), sorted_out)


def _list_table(folder: Path, names: tuple[str, ...], per_person: int | None) -> Listing:
    rows, places = read_table(folder), {name: label for label, name in enumerate(names)}
    kept = rows if per_person is None else bounded(rows, per_person)
    files = sorted(((row.path, places[row.label]) for row in kept), key=_by_name)
    listed = {row.path for row in rows}
    there = (path for path in sorted(folder.rglob("*")) if path.is_file() and path not in listed)
    others = tuple(str(path.relative_to(folder)) for path in there if path.name != TABLE_FILE)
    persons = Counter(row.person for row in rows if row.person)
    used = set(kept)
    more = tuple(row.file for row in rows if row not in used)
    reasons = {f"not in {TABLE_FILE}": others, f"beyond {per_person} of one person": more}
    left_out = {reason: some for reason, some in reasons.items() if some}
    return Listing(folder, names, tuple(files), left_out, tuple(persons.values()))


def _list_archive(path: Path, names: tuple[str, ...]) -> Listing:
    labels = archives.read_labels(path)
    images = archives.read_images(path, len(labels))
    files = tuple((path / f"{place:06d}", int(label)) for place, label in enumerate(labels))
    return Listing(path, names, files, {}, arrays=images)


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() == ".npz" and path.is_file()


def _by_name(file: tuple[Path, int]) -> tuple[str, int, str]:
    return file[0].name, file[1], str(file[0])


def check_apart(images: Path, **places: Path) -> None:
    """Refuse places to write, by name of the argument, that lie among the images.

    What is written among the images would be taken for private records by the next run.
    """
    inside = images.expanduser().resolve()
    for name, place in places.items():
        at = place.expanduser().resolve()
        apart = inside != at and inside not in at.parents
        require(apart, name, str(at), f"outside the images, {inside}", f"--{name} another folder")


def split_size(
    folder: Path, split: str, *, hold_out: bool = True, per_person: int | None = None
) -> int:
    """Records of a split, from the number of files alone; `per_person` is as in `list_folder`."""
    count = len(list_folder(folder, per_person=per_person).files)
    return len(rows_of_split(count, split, None, hold_out=hold_out))


@dataclass(frozen=True)
class Pool:
    """All of one's own images in the order of the names."""

    name: str  #: of `SHAPES`
    images: Tensor  #: uint8, (N, c, h, w)
    labels: Tensor  #: int64 in 0..classes-1, (N,)
    class_names: tuple[str, ...]  #: one per class


def load_pool(
    name: str,
    folder: Path,
    *,
    shape: tuple[int, int, int],
    maximum: float | None = None,
    per_person: int | None = None,
) -> Pool:
    """Read all images of a folder as `shape`, each as in `pictures.fit_picture`.

    `per_person` is as in `list_folder`.

    Raises:
        InvalidArgument: some files cannot be read, and are named, or need a `maximum`.
    """
    listing = list_folder(folder, per_person=per_person)
    pixels = np.empty((len(listing.files), *shape), dtype=np.uint8)
    how: dict[str, Any] = {"channels": shape[0], "size": shape[1], "maximum": maximum}

    def keep(place: int, picture: Image.Image) -> None:
        pixels[place] = pictures.fit_picture(picture, **how)

    each_file(listing, keep)
    labels = torch.tensor([label for _, label in listing.files], dtype=torch.int64)
    return Pool(name, torch.from_numpy(pixels), labels, listing.class_names)


def each_file(listing: Listing, work: Callable[[int, Image.Image], None]) -> None:
    """Call `work` with place and picture of every file; then name all that cannot be read."""
    lost: dict[str, str] = {}
    deep: dict[str, str] = {}
    for place, (path, _) in enumerate(listing.files):
        try:
            with listing.picture(place) as picture:
                work(place, picture)
        except pictures.TooDeep as error:
            deep[str(path.relative_to(listing.folder))] = error.mode
        except pictures.Unreadable as error:
            lost[str(path.relative_to(listing.folder))] = str(error)
    pictures.check_readable(lost)
    pictures.check_depth(deep)


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
