"""Named data sets as tensors.

The data folder may be read-only: nothing is written to one that holds the files, and a download
appears there complete or not at all. Files are checked before use, and none is ever unpickled.

    >>> digits = load("glyphs", "train", num_records=100)  # drawn here: no download
    >>> tuple(digits.images.shape), digits.labels.bincount().tolist()
    ((100, 1, 28, 28), [10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import http.client
import os
import tempfile
import threading
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.data import celeba, folders
from dpgen_core.data.glyphs import draw_glyphs
from dpgen_core.data.pictures import check_size
from dpgen_core.streams import stream


@dataclass(frozen=True)
class ImageData:
    """Images with labels; raises `InvalidArgument` unless they are as said below."""

    name: str  #: the data set's
    images: Tensor  #: float32 in [0, 1], (N, c, h, w)
    labels: Tensor  #: int64 in 0..classes-1, (N,)
    class_names: tuple[str, ...]  #: one per class

    def __post_init__(self) -> None:
        shapes = tuple(self.images.shape), tuple(self.labels.shape)
        good = len(shapes[0]) == 4 and shapes[1] == shapes[0][:1]
        require(good, "images, labels", shapes, "(N, c, h, w) and (N,)", "as many labels as images")
        types = self.images.dtype, self.labels.dtype
        good = types == (torch.float32, torch.int64)
        require(good, "images, labels", types, "float32 and int64", "images.float(), labels.long()")
        if self.images.numel():
            check_pixels("images", self.images)
            first, last = (int(end) for end in self.labels.aminmax())
            top = len(self.class_names) - 1
            good = first >= 0 and last <= top
            require(good, "labels", (first, last), f"from 0 to {top}", "the files' own labels")

    def at(self, rows: Tensor) -> ImageData:
        """The images at `rows` (n,), in that order, with their labels."""
        return replace(self, images=self.images[rows], labels=self.labels[rows])


def check_pixels(argument: str, images: Tensor) -> None:
    """Require finite values in [0, 1]; `images` is not empty."""
    low, high = (float(end) for end in images.aminmax())  # NaN if any value is
    fix = "images / 255, which brings 8-bit values to values in [0, 1]"
    require(low >= 0 and high <= 1, argument, (low, high), "finite, from 0 to 1", fix)


@dataclass(frozen=True)
class DatasetSpec:
    """What is public about a data set."""

    name: str  #: key in `DATASETS`
    image_shape: tuple[int, int, int]  #: (c, h, w)
    class_names: tuple[str, ...]  #: one per class

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return len(self.class_names)


_DIGITS = tuple(str(digit) for digit in range(10))
_CLOTHES = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
DATASETS: Mapping[str, DatasetSpec] = {
    "mnist": DatasetSpec("mnist", (1, 28, 28), _DIGITS),
    "fashion_mnist": DatasetSpec("fashion_mnist", (1, 28, 28), _CLOTHES),
    "celeba": DatasetSpec("celeba", (3, 32, 32), ("female", "male")),
    "glyphs": DatasetSpec("glyphs", (1, 28, 28), _DIGITS),
}
NAMES = (*DATASETS, *folders.SHAPES)
SIZED = ("celeba", *folders.SHAPES)  # data sets whose pictures can be had in several sizes
_IDX = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}  # classes and folders of torchvision
_IDX_PREFIX = {"train": "train", "test": "t10k"}
_SPLITS: dict[str, Iterable[str]] = {"celeba": celeba.PARTITIONS}
_SPLITS |= dict.fromkeys(folders.SHAPES, ("train", "test", "all"))
_GLYPH_COUNTS = {"train": 60_000, "test": 10_000}
_TRAIN_SIZES = {"mnist": 60_000, "fashion_mnist": 60_000, "glyphs": 60_000}
DOWNLOAD_SECONDS = 10.0  # longest wait for a server's answer


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
    check_choice("split", split, _SPLITS.get(name, _IDX_PREFIX))
    check_int("seed", seed, low=0, fix="seed=0")
    if num_records is not None:
        check_int("num_records", num_records, low=1, fix="num_records=2000")
    folder = _root(root)
    spec = dataset_spec(name, root=folder, image_size=image_size)
    pick = functools.partial(_pick, name, split, num_records, seed)
    if name == "glyphs":
        count = num_records or _GLYPH_COUNTS[split]
        drawn, labels = draw_glyphs(count, seed=2 * seed + (split == "test"))
        images = drawn.float().div_(255)
    elif name in folders.SHAPES:
        pool = folders.load_pool(name, folder, shape=spec.image_shape, maximum=maximum)
        slots = folders.rows_of_split(len(pool.labels), split, key)
        images, labels = pool.take(slots[pick(len(slots))])
    elif name in _IDX:
        images, labels = _load_idx(name, folder, split, pick)
    else:
        images, labels = celeba.load_celeba(folder, split, pick, spec.image_shape)
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
    """What `load` would read, from the `pool` of one's own folder."""
    slots = folders.rows_of_split(len(pool.labels), split, key, hold_out=hold_out)
    rows = slots[_pick(pool.name, split, num_records, seed, len(slots))]
    return ImageData(pool.name, *pool.take(rows), pool.class_names)


def _pick(name: str, split: str, num_records: int | None, seed: int, available: int) -> Tensor:
    """The rows wanted out of the `available` ones, by a public permutation."""
    if num_records is None or num_records == available:
        return torch.arange(available)
    fix = f"num_records={available}, all of the {split} split of {name}"
    check_int("num_records", num_records, low=1, high=available, fix=fix)
    return torch.randperm(available, generator=stream(seed, "subset", name, split))[:num_records]


def train_size(
    name: str,
    *,
    root: Path | str | None = None,
    hold_out: bool = True,
    image_size: int | None = None,
) -> int:
    """Records in the training split, reading no images; of CelebA, those that are there.

    Of one's own folder none are held out with ``hold_out=False``. `image_size` is as in
    `dataset_spec`.
    """
    check_choice("dataset", name, NAMES)
    folder = _root(root)
    if name in folders.SHAPES:
        return folders.split_size(folder, "train", hold_out=hold_out)
    if name == "celeba":
        return celeba.split_size(folder, "train", image_size or celeba.PREPARED_SIDE)
    return _TRAIN_SIZES[name]


def available(name: str, *, root: Path | str | None = None, download: bool = True) -> bool:
    """Whether `load` would succeed; False for an unknown name. Never raises.

    With `download`, missing files are fetched; each server has `DOWNLOAD_SECONDS` to answer.
    """
    try:
        folder = _root(root)
        if name in _IDX:
            if download:
                _download_missing(name, folder)
            return all(_md5(path) == md5 for path, md5 in _idx_files(name, folder))
        if name == "celeba":
            prepared = celeba.prepared_size(folder, "train") is not None
            return prepared or celeba.available(folder)
        return train_size(name, root=folder) > 0
    except Exception:  # `load` reports what is wrong
        return False


def _idx_files(name: str, folder: Path) -> list[tuple[Path, str]]:
    """The compressed IDX files of a data set and their published MD5 sums."""
    raw = folder / _IDX[name] / "raw"
    return [(raw / filename, md5) for filename, md5 in _published(name).resources]


def _published(name: str) -> Any:
    """Torchvision's class, which knows sums and servers; slow to import, so only when asked."""
    from torchvision import datasets

    return getattr(datasets, _IDX[name])


def _download_missing(name: str, folder: Path) -> None:
    """Fetch the files that are absent, each checked before it gets its name."""
    missing = [(path, md5) for path, md5 in _idx_files(name, folder) if not path.exists()]
    if not missing:
        return
    raw = missing[0][0].parent
    try:
        server = next(filter(_answers, _published(name).mirrors), None)
        if server is None:
            raise OSError(f"no answer from {' or '.join(_published(name).mirrors)}")
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=raw) as scratch:
            for path, md5 in missing:
                partial = Path(scratch) / path.name
                with _open(server + path.name) as response:
                    partial.write_bytes(response.read())
                if _md5(partial) != md5:
                    raise OSError(f"{path.name} from {server} is corrupted")
                partial.replace(path)
    except (OSError, http.client.HTTPException) as error:
        raise FileNotFoundError(
            f"{name}: {', '.join(path.name for path, _ in missing)} not found in {raw.resolve()}, "
            f"and the download failed ({error}). Put the files there, set DPGEN_DATA to a folder that "
            "holds them, or use dataset='glyphs', which needs no files."
        ) from error


def _answers(server: str) -> bool:
    """Whether a server answers in time. In a thread, as name lookup has no time limit."""
    answers = []

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            _open(server + "train-labels-idx1-ubyte.gz", method="HEAD").close()
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_SECONDS)
    return bool(answers)


def _open(url: str, method: str = "GET") -> http.client.HTTPResponse:
    request = urllib.request.Request(url, method=method, headers={"User-Agent": "dpgen"})
    return urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS)


def _load_idx(name: str, folder: Path, split: str, pick: celeba.Pick) -> celeba.Loaded:
    """Without torchvision's class, which unpacks into a folder that may be read-only."""
    _download_missing(name, folder)
    files = {path.name: (path, md5) for path, md5 in _idx_files(name, folder)}
    pixels = _idx_values(*files[f"{_IDX_PREFIX[split]}-images-idx3-ubyte.gz"], dimensions=3)
    labels = _idx_values(*files[f"{_IDX_PREFIX[split]}-labels-idx1-ubyte.gz"], dimensions=1).long()
    images = pixels.view(-1, *DATASETS[name].image_shape)  # (N, 1, 28, 28)
    shapes = tuple(images.shape), tuple(labels.shape)
    rule, fix = "as many labels as images", "fresh copies of the files"
    require(len(images) == len(labels), f"shapes of {name}/{split}", shapes, rule, fix)
    rows = pick(len(labels))
    return images[rows].float().div_(255), labels[rows]


def _md5(path: Path) -> str | None:
    return (
        hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() if path.exists() else None
    )


def _idx_values(path: Path, md5: str, *, dimensions: int) -> Tensor:
    """The checked content of an IDX file, flat; the header has four bytes plus four a dimension."""
    found, rule = _md5(path), f"{md5}, the published file's; this one is damaged or another"
    require(found == md5, f"MD5 sum of {path}", found, rule, "a fresh copy of the file")
    content = bytearray(gzip.decompress(path.read_bytes()))
    return torch.frombuffer(content, dtype=torch.uint8, offset=4 * (1 + dimensions))
