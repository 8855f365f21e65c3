"""Named data sets as tensors: where they are looked for, how they are checked.

The root is ``$DPGEN_DATA``, else ``./data``. It may be read-only: nothing is written below a root
that already holds the files. Nothing is ever unpickled.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets as tv
from torchvision.datasets.mnist import read_image_file, read_label_file
from torchvision.transforms import functional as transforms

from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.glyphs import draw_glyphs
from dpgen_core.streams import stream

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class ImageData:
    """Images with labels.

    Attributes:
        name: the data set's name.
        images: float32 in [0, 1], (N, c, h, w).
        labels: int64 in 0..classes-1, (N,).
        class_names: one per class.
    """

    name: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        require(
            self.images.dim() == 4 and len(self.images) == len(self.labels),
            "images",
            (tuple(self.images.shape), tuple(self.labels.shape)),
            "of shape (N, c, h, w) with N labels",
            "one label per image",
        )
        require(
            bool(self.images.isfinite().all()), "images", "NaN or infinity", "finite", "clean data"
        )
        low, high = (int(self.labels.min()), int(self.labels.max())) if len(self.labels) else (0, 0)
        require(
            low >= 0 and high < len(self.class_names),
            "labels",
            (low, high),
            f"in 0..{len(self.class_names) - 1}",
            "the data set's own label file",
        )


@dataclass(frozen=True)
class DatasetSpec:
    """What is public about a data set.

    Attributes:
        name: key in `DATASETS`.
        image_shape: (c, h, w).
        class_names: one per class.
        licence: as usually stated; see the reproduction page.
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    licence: str

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return len(self.class_names)


_DIGITS = tuple(str(digit) for digit in range(10))
_CLOTHES = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
DATASETS: Mapping[str, DatasetSpec] = MappingProxyType(
    {
        "mnist": DatasetSpec("mnist", (1, 28, 28), _DIGITS, "CC BY-SA 3.0"),
        "fashion_mnist": DatasetSpec("fashion_mnist", (1, 28, 28), _CLOTHES, "MIT"),
        "celeba": DatasetSpec(
            "celeba", (3, 32, 32), ("female", "male"), "non-commercial research; no redistribution"
        ),
        "glyphs": DatasetSpec("glyphs", (1, 28, 28), _DIGITS, "drawn here from free fonts"),
    }
)
_IDX: Mapping[str, type[tv.MNIST]] = MappingProxyType(
    {"mnist": tv.MNIST, "fashion_mnist": tv.FashionMNIST}
)
_IDX_FILES = {"train": "train", "test": "t10k"}
_CELEBA_PARTS = {"train": 0, "valid": 1, "test": 2}
_GLYPH_COUNTS = {"train": 60_000, "test": 10_000}
DOWNLOAD_SECONDS = 10


def data_root() -> Path:
    """``$DPGEN_DATA``, else ``./data``."""
    return Path(os.environ.get("DPGEN_DATA") or "data")


def load(
    name: str,
    split: str,
    *,
    root: Path | None = None,
    num_records: int | None = None,
    seed: int = 0,
) -> ImageData:
    """Load a split of a named data set.

    Args:
        name: a key of `DATASETS`.
        split: ``train`` or ``test``; CelebA also has ``valid``.
        root: data folder; None takes `data_root`.
        num_records: a public random subset of that size; None takes all.
        seed: decides the subset, and the drawing of `glyphs`.

    Raises:
        InvalidArgument: unknown name or split, too many records, damaged files.
        FileNotFoundError: the files are not there and cannot be downloaded; says where they were
            looked for.
    """
    check_choice("dataset", name, DATASETS)
    splits = _CELEBA_PARTS if name == "celeba" else _IDX_FILES
    check_choice("split", split, splits)
    if num_records is not None:
        check_int("num_records", num_records, low=1, fix="num_records=2000")
    folder = data_root() if root is None else Path(root)
    if name == "glyphs":
        return _load_glyphs(split, num_records, seed)
    whole = _load_celeba(folder, split) if name == "celeba" else _load_idx(name, folder, split)
    if num_records is None or num_records == len(whole.labels):
        return whole
    check_int("num_records", num_records, low=1, high=len(whole.labels), fix=f"{len(whole.labels)}")
    order = torch.randperm(len(whole.labels), generator=stream(seed, "subset", name, split))
    rows = order[:num_records]
    return replace(whole, images=whole.images[rows], labels=whole.labels[rows])


def train_size(name: str, *, root: Path | None = None) -> int:
    """Records in the training split; reads no images."""
    check_choice("dataset", name, DATASETS)
    if name != "celeba":
        return 60_000
    folder = data_root() if root is None else Path(root)
    parts = _celeba_parts(folder)
    if not parts:
        return 162_770  # the official split
    return sum(int((_npz(part, "partition") == _CELEBA_PARTS["train"]).sum()) for part in parts)


def available(name: str, *, root: Path | None = None, download: bool = True) -> bool:
    """Whether `load` would find the files, after one bounded try to download them. Never raises."""
    try:
        check_choice("dataset", name, DATASETS)
        folder = data_root() if root is None else Path(root)
        if name == "glyphs":
            return True
        if name == "celeba":
            return bool(_celeba_parts(folder)) or (folder / "celeba/img_align_celeba").is_dir()
        if download:
            _idx_folder(name, folder)
            return True
        return _has_idx(name, folder)
    except Exception:
        return False


def _load_glyphs(split: str, num_records: int | None, seed: int) -> ImageData:
    count = num_records or _GLYPH_COUNTS[split]
    images, labels = draw_glyphs(count, seed=2 * seed + (split == "test"))
    return ImageData("glyphs", images.float() / 255, labels, _DIGITS)


def _idx_files(name: str, folder: Path) -> list[tuple[Path, str]]:
    """The compressed IDX files of a data set and their published MD5 sums."""
    raw = folder / _IDX[name].__name__ / "raw"
    return [(raw / filename, md5) for filename, md5 in _IDX[name].resources]


def _has_idx(name: str, folder: Path) -> bool:
    return all(path.exists() for path, _ in _idx_files(name, folder))


def _idx_folder(name: str, folder: Path) -> Path:
    """The folder that holds the files, after a download if need be."""
    if _has_idx(name, folder):
        return folder
    try:
        with _short_timeout():
            _IDX[name](str(folder), download=True)
    except (OSError, RuntimeError) as error:
        wanted = ", ".join(path.name for path, _ in _idx_files(name, folder))
        raise FileNotFoundError(
            f"{name}: not found below {folder} (looked for {wanted} in "
            f"{_IDX[name].__name__}/raw) and the download failed ({error}). Put the files there, "
            "set DPGEN_DATA to a folder that has them, or use dataset='glyphs'."
        ) from error
    return folder


@contextmanager
def _short_timeout() -> Any:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _load_idx(name: str, folder: Path, split: str) -> ImageData:
    """Read the compressed files in memory; torchvision would unpack them beside themselves."""
    files = dict(_idx_files(name, _idx_folder(name, folder)))
    prefix = _IDX_FILES[split]
    images_path, labels_path = (
        next(path for path in files if path.name.startswith(f"{prefix}-{kind}"))
        for kind in ("images", "labels")
    )
    with tempfile.TemporaryDirectory() as scratch:
        images = read_image_file(_unpacked(images_path, files[images_path], scratch))
        labels = read_label_file(_unpacked(labels_path, files[labels_path], scratch))
    return ImageData(name, images[:, None].float() / 255, labels, DATASETS[name].class_names)


def _unpacked(path: Path, md5: str, scratch: str) -> str:
    """A checked, unpacked copy in `scratch`, the form torchvision's readers want."""
    packed = path.read_bytes()
    found = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    require(
        found == md5,
        "checksum",
        found,
        f"{md5} for {path.name}: the file is damaged or not the published one",
        f"deleting {path} and loading again",
    )
    target = Path(scratch) / path.stem
    target.write_bytes(gzip.decompress(packed))
    return str(target)


def _celeba_parts(folder: Path) -> list[Path]:
    return sorted((folder / "celeba").glob("celeba32-*.npz"))


def _npz(path: Path, field: str) -> np.ndarray:
    """One array of a part, never unpickled; damage is a clear error."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive[field]
    except Exception as error:
        require(
            False,
            field,
            f"{type(error).__name__}: {error}",
            f"a plain array in {path.name}",
            "a fresh copy of that file",
        )
        raise


def _load_celeba(folder: Path, split: str) -> ImageData:
    """The prepared 32x32 parts, else torchvision's layout resized whole to 32x32."""
    names = DATASETS["celeba"].class_names
    parts = _celeba_parts(folder)
    if not parts:
        return _load_celeba_torchvision(folder, split)
    images, labels = [], []
    for path in parts:
        rows = _npz(path, "partition") == _CELEBA_PARTS[split]
        images.append(torch.from_numpy(_npz(path, "images")[rows]))
        labels.append(torch.from_numpy(_npz(path, "male")[rows]))
    return ImageData("celeba", torch.cat(images).float() / 255, torch.cat(labels).long(), names)


def _load_celeba_torchvision(folder: Path, split: str) -> ImageData:
    try:
        source = tv.CelebA(str(folder), split=split, target_type="attr", download=False)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"celeba: found neither celeba/celeba32-*.npz nor torchvision's layout below {folder} "
            f"({error}). Get CelebA from its authors (research licence) and set DPGEN_DATA."
        ) from error
    male = source.attr_names.index("Male")
    images = torch.stack(
        [
            transforms.to_tensor(transforms.resize(source[i][0], [32, 32], antialias=True))
            for i in range(len(source))
        ]
    )
    return ImageData("celeba", images, source.attr[:, male].long(), DATASETS["celeba"].class_names)
