"""Images and labels in one ``.npz``: ``images`` and ``labels``, or MedMNIST's six arrays.

MedMNIST's parts are put together in the order train, val, test: what is held out for the metrics is
drawn anew. Labels are whole numbers from 0; their largest is taken to be public. Images are read one
after the other, so the archive may be larger than memory. Nothing is unpickled.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from dpgen_core.checks import InvalidArgument, require

_PARTS = ("train", "val", "test")


def read_labels(path: Path) -> np.ndarray:
    """Labels (N,), int64."""
    with _refused(path, "labels"), np.load(path, allow_pickle=False) as archive:
        arrays = [archive[name] for name in _names(archive.files, "labels")]
    parts = [part.reshape(len(part), -1) for part in arrays if len(part)]
    same = len({part.shape[1] for part in parts}) == 1
    labels = np.concatenate(parts) if same else np.empty((0, 1), dtype=np.int64)
    rule = "one whole number from 0 to 9999 for each image"
    good = labels.shape[1] == 1 and len(labels) > 0 and labels.dtype.kind in "iu"
    good = good and int(labels.min()) >= 0 and int(labels.max()) < 10_000
    shown = f"{labels.shape} {labels.dtype}"
    require(good, f"labels in {path}", shown, rule, "a set with one label for each image")
    return labels[:, 0].astype(np.int64)


class Images:
    """The images (h, w) or (h, w, 3) of an archive by their places, quick where they are read in order."""

    def __init__(self, path: Path) -> None:
        self._path, self._next = path, 0
        self._reader: Iterator[np.ndarray] = iter(())

    def __getitem__(self, place: int) -> np.ndarray:
        with _refused(self._path, "images"):
            if not 0 < self._next <= place:  # not begun, or passed already
                self._reader, self._next = _each(self._path), 0
            for _ in range(place - self._next):
                next(self._reader)
            self._next = place + 1
            return next(self._reader)


def read_images(path: Path, count: int) -> Images:
    """The images of an archive, (N, h, w) or (N, h, w, 3), of which there must be `count`."""
    with _refused(path, "images"), zipfile.ZipFile(path) as archive:
        shapes = []
        for member in _members(archive):
            with archive.open(member) as stream:
                shapes.append(_header(stream)[0])
    kinds = {shape[1:] for shape in shapes if shape[0]}
    shape = (sum(shape[0] for shape in shapes), *kinds.pop()) if len(kinds) == 1 else ()
    good = len(shape) == 3 or (len(shape) == 4 and shape[-1] == 3)
    rule = f"(N, h, w) or (N, h, w, 3) with N = {count}, as many as labels"
    require(good and shape[0] == count, f"images in {path}", shape, rule, "a whole copy")
    return Images(path)


def _each(path: Path) -> Iterator[np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        for member in _members(archive):
            with archive.open(member) as stream:
                shape, by_columns, dtype = _header(stream)
                if by_columns:  # an image's values are not side by side
                    with np.load(path, allow_pickle=False) as whole:
                        yield from whole[member.removesuffix(".npy")]
                    continue
                size = math.prod(shape[1:]) * dtype.itemsize
                for _ in range(shape[0]):
                    yield np.frombuffer(stream.read(size), dtype).reshape(shape[1:])


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran's order, and type of the array that follows in the stream."""
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    shape, by_columns, dtype = read[npy.read_magic(stream)](stream)
    if dtype.hasobject:
        raise ValueError("objects, which would have to be unpickled")
    return shape, by_columns, dtype


def _members(archive: zipfile.ZipFile) -> list[str]:
    files = [name.removesuffix(".npy") for name in archive.namelist()]
    return [f"{name}.npy" for name in _names(files, "images")]


def _names(files: Sequence[str], kind: str) -> list[str]:
    """The arrays of a kind, ``images`` or ``labels``."""
    named = [f"{part}_{kind}" for part in _PARTS]
    return [name for name in named if name in files] or [kind]


@contextmanager
def _refused(path: Path, kind: str) -> Iterator[None]:
    """An error that names the archive, in place of those of numpy, zipfile and zlib."""
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InvalidArgument(
            f"{kind} in {path}: received {reason!r}, but it must be an unpickled array. Try an .npz "
            "with images and labels, or MedMNIST's."
        ) from error
