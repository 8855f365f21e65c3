"""Named data sets as tensors.

`SOURCES` lists them; the data folder may be read-only. Files are checked before use, and none is ever
unpickled.

    >>> digits = load("glyphs", "train", num_records=100)  # drawn here: no download
    >>> tuple(digits.images.shape), digits.labels.bincount().tolist()
    ((100, 1, 28, 28), [10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.data import folders, idx
from dpgen_core.data.celeba import CelebA
from dpgen_core.data.cifar import CIFAR10
from dpgen_core.data.glyphs import Glyphs
from dpgen_core.data.medmnist import PNEUMONIA_MNIST
from dpgen_core.data.pictures import check_size
from dpgen_core.data.sources import DatasetSpec, Source, Subset
from dpgen_core.data.svhn import SVHN
from dpgen_core.pixels import check_pixels, to_floats


@dataclass(frozen=True)
class ImageData:
    """Images with labels; raises `InvalidArgument` unless they are as said below."""

    name: str  #: the data set's
    images: Tensor  #: float32 in [0, 1], or uint8 with 255 for 1, (N, c, h, w)
    labels: Tensor  #: int64 in 0..classes-1, (N,)
    class_names: tuple[str, ...]  #: one per class

    def __post_init__(self) -> None:
        shapes = tuple(self.images.shape), tuple(self.labels.shape)
        good = len(shapes[0]) == 4 and shapes[1] == shapes[0][:1]
        require(good, "images, labels", shapes, "(N, c, h, w) and (N,)", "as many labels as images")
        types = self.images.dtype, self.labels.dtype
        good = types[0] in (torch.float32, torch.uint8) and types[1] == torch.int64
        rule, fix = "float32 or uint8, and int64", "images.float(), labels.long()"
        require(good, "images, labels", types, rule, fix)
        if self.images.numel():
            check_pixels("images", self.images)
            first, last = (int(end) for end in self.labels.aminmax())
            top = len(self.class_names) - 1
            good = first >= 0 and last <= top
            require(good, "labels", (first, last), f"from 0 to {top}", "the files' own labels")

    def at(self, rows: Tensor) -> ImageData:
        """The images at `rows` (n,), in that order, with their labels."""
        return replace(self, images=self.images[rows], labels=self.labels[rows])


# The order of the book's tables: new ones come last.
_ALL: tuple[Source, ...] = (
    *(idx.MNIST, idx.FASHION_MNIST, CelebA(), Glyphs()),
    *(idx.KMNIST, idx.EMNIST_LETTERS, idx.EMNIST_BALANCED, CIFAR10, SVHN),
    PNEUMONIA_MNIST,
)
SOURCES: Mapping[str, Source] = {source.spec.name: source for source in _ALL}
DATASETS: Mapping[str, DatasetSpec] = {name: source.spec for name, source in SOURCES.items()}
NAMES = (*DATASETS, *folders.SHAPES)
SIZED = ("celeba", "glyphs", *folders.SHAPES)  # data sets that can be had in several sizes


def data_root() -> Path:
    """``$DPGEN_DATA``, else ``./data``."""
    return Path(os.environ.get("DPGEN_DATA") or "data").expanduser()


def _root(root: Path | str | None) -> Path:
    """`root`, else `data_root`; a ``~`` is one's home folder."""
    return data_root() if root is None else Path(root).expanduser()


def dataset_spec(
    name: str, *, root: Path | str | None = None, image_size: int | None = None
) -> DatasetSpec:
    """What is public about a data set of `NAMES`; of one's own folder, its class names.

    `image_size` is the side in pixels for data sets of `SIZED`; None takes the usual one.
    """
    check_choice("dataset", name, NAMES)
    if name in DATASETS:
        spec = DATASETS[name]
    else:
        spec = DatasetSpec(name, folders.SHAPES[name], folders.class_names(_root(root)))
    usual = spec.image_shape[1]
    if image_size is None:
        return spec
    check_size(image_size)
    if image_size == usual:
        return spec
    rule = f"{usual}, the size of the files of {name}"
    require(name in SIZED, "image_size", image_size, rule, "image_size=None")
    return replace(spec, image_shape=(spec.image_shape[0], image_size, image_size))


def load(
    name: str,
    split: str,
    *,
    root: Path | str | None = None,
    num_records: int | None = None,
    seed: int = 0,
    key: str | None = None,
    image_size: int | None = None,
    maximum: float | None = None,
) -> ImageData:
    """Load a split of a named data set.

    Args:
        name: of `NAMES`; ``folder_gray`` and ``folder_color`` are the data folder itself.
        split: ``train`` or ``test``; CelebA also has ``valid``, one's own folder ``all``.
        root: data folder; None takes `data_root`.
        num_records: size of a random subset, drawn without using the (private) labels; of
            ``glyphs``, how many to draw. None takes all.
        seed: public; decides the subset, or the drawing: no training split of ``glyphs`` shares a
            random stream with any test split.
        key: the run's secret key, which orders the files of one's own folder (see `folders`).
        image_size: see `dataset_spec`.
        maximum: value shown as white in one's own files of more than 8 bits.

    Raises:
        InvalidArgument: unknown name or split, too many records, damaged files.
        FileNotFoundError: the files are neither there nor to be had; says where it looked.
    """
    check_choice("dataset", name, NAMES)
    source = SOURCES.get(name)  # None: one's own folder
    check_choice("split", split, source.splits if source else ("train", "test", "all"))
    check_int("seed", seed, low=0, fix="seed=0")
    if num_records is not None:
        check_int("num_records", num_records, low=1, fix="num_records=2000")
    folder = _root(root)
    spec = dataset_spec(name, root=folder, image_size=image_size)
    subset = Subset(name, split, num_records, seed)
    if source is None:
        pool = folders.load_pool(name, folder, shape=spec.image_shape, maximum=maximum)
        slots = folders.rows_of_split(len(pool.labels), split, key)
        rows = slots[subset.rows(len(slots))]
        images, labels = to_floats(pool.images[rows]), pool.labels[rows]
    else:
        images, labels = source.load(folder, subset, spec.image_shape)
    return ImageData(name, images, labels, spec.class_names)


def split_pool(
    pool: folders.Pool,
    split: str,
    *,
    num_records: int | None,
    seed: int,
    key: str | None,
    hold_out: bool = True,
) -> ImageData:
    """What `load` would read, from the `pool` of one's own folder, in bytes."""
    slots = folders.rows_of_split(len(pool.labels), split, key, hold_out=hold_out)
    rows = slots[Subset(pool.name, split, num_records, seed).rows(len(slots))]
    return ImageData(pool.name, pool.images[rows], pool.labels[rows], pool.class_names)


def train_size(
    name: str,
    *,
    root: Path | str | None = None,
    hold_out: bool = True,
    image_size: int | None = None,
    per_person: int | None = None,
) -> int:
    """Records in the training split, reading no images; of CelebA, those that are there.

    Of one's own folder none are held out with ``hold_out=False``, and at most `per_person` of each
    person count, as in `folders.list_folder`. `image_size` is as in `dataset_spec`.
    """
    check_choice("dataset", name, NAMES)
    folder = _root(root)
    if name in folders.SHAPES:
        return folders.split_size(folder, "train", hold_out=hold_out, per_person=per_person)
    source = SOURCES[name]
    return source.train_size(folder, image_size or source.spec.image_shape[1])


def available(name: str, *, root: Path | str | None = None, download: bool = True) -> bool:
    """Whether `load` would succeed; False for an unknown name. Never raises.

    With `download`, missing files are fetched; each server has `published.DOWNLOAD_SECONDS` to
    answer.
    """
    try:
        folder = _root(root)
        if name in SOURCES:
            return SOURCES[name].available(folder, download=download)
        return train_size(name, root=folder) > 0
    except Exception:  # `load` reports what is wrong
        return False
