"""Named data sets as tensors: where they are looked for, how they are checked.

The root is ``$DPGEN_DATA``, else ``./data``. It may be read-only: nothing is written below a root
that already holds the files, and what is downloaded is put there whole or not at all. Files are
checked before use, and nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import socket
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor
from torchvision import datasets as tv
from torchvision.datasets.mnist import read_image_file, read_label_file
from torchvision.datasets.utils import check_integrity, download_url

from dpgen_core.data import celeba
from dpgen_core.data import folders
from dpgen_core.checks import check_choice, check_int, require
from dpgen_core.data.glyphs import MAX_RECORDS, draw_glyphs
from dpgen_core.streams import stream


@dataclass(frozen=True)
class ImageData:
    """Images with labels.

    Attributes:
        name: the data set's name.
        images: float32 in [0, 1], (N, c, h, w).
        labels: int64 in 0..classes-1, (N,).
        class_names: one per class.

    Raises:
        InvalidArgument: on construction, where one of the above does not hold.
    """

    name: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        shapes = tuple(self.images.shape), tuple(self.labels.shape)
        good = len(shapes[0]) == 4 and shapes[1] == shapes[0][:1]
        require(good, "images, labels", shapes, "(N, c, h, w) and (N,)", "as many labels as images")
        types = self.images.dtype, self.labels.dtype
        good = types == (torch.float32, torch.int64)
        require(good, "images, labels", types, "float32 and int64", "images.float(), labels.long()")
        if not self.images.numel():
            return
        low, high = (float(end) for end in self.images.aminmax())  # NaN if any value is
        good = low >= 0 and high <= 1
        require(good, "images", (low, high), "finite, from 0 to 1", "dividing 8-bit images by 255")
        first, last = (int(end) for end in self.labels.aminmax())
        count = len(self.class_names)
        good = first >= 0 and last < count
        require(good, "labels", (first, last), f"from 0 to {count - 1}", "the files' own labels")


@dataclass(frozen=True)
class DatasetSpec:
    """What is public about a data set.

    Attributes:
        name: key in `DATASETS`.
        image_shape: (c, h, w).
        class_names: one per class.
        licence: as usually stated.
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
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
_RESEARCH = "non-commercial research; no redistribution"
DATASETS: Mapping[str, DatasetSpec] = MappingProxyType(
    {
        "mnist": DatasetSpec("mnist", (1, 28, 28), _DIGITS, "CC BY-SA 3.0"),
        "fashion_mnist": DatasetSpec("fashion_mnist", (1, 28, 28), _CLOTHES, "MIT"),
        "celeba": DatasetSpec("celeba", (3, 32, 32), ("female", "male"), _RESEARCH),
        "glyphs": DatasetSpec("glyphs", (1, 28, 28), _DIGITS, "drawn here from free fonts"),
    }
)
NAMES = (*DATASETS, *folders.SHAPES)
_IDX: Mapping[str, type[tv.MNIST]] = MappingProxyType(
    {"mnist": tv.MNIST, "fashion_mnist": tv.FashionMNIST}
)
_IDX_PREFIX = {"train": "train", "test": "t10k"}
_GLYPH_COUNTS = {"train": 60_000, "test": 10_000}
_TRAIN_SIZES = {"mnist": 60_000, "fashion_mnist": 60_000, "celeba": 162_770, "glyphs": 60_000}
DOWNLOAD_SECONDS = 10.0  # longest wait for a server's answer


def data_root() -> Path:
    """``$DPGEN_DATA``, else ``./data``."""
    return Path(os.environ.get("DPGEN_DATA") or "data")


def dataset_spec(name: str, *, root: Path | str | None = None) -> DatasetSpec:
    """What is public about a data set of `NAMES`; of one's own folder, its class names.

    Raises:
        InvalidArgument: unknown name, or no class folders.
    """
    check_choice("dataset", name, NAMES)
    if name in DATASETS:
        return DATASETS[name]
    classes = folders.class_names(data_root() if root is None else Path(root))
    return DatasetSpec(name, folders.SHAPES[name], classes, "your own")


def load(
    name: str,
    split: str,
    *,
    root: Path | str | None = None,
    num_records: int | None = None,
    seed: int = 0,
) -> ImageData:
    """Load a split of a named data set.

    Args:
        name: one of `NAMES`; ``folder_gray`` and ``folder_color`` take the images of the data folder
            itself (see `folders`).
        split: ``train`` or ``test``; CelebA also has ``valid`` (the official split).
        root: data folder; None takes `data_root`.
        num_records: a random subset of that size, drawn without a look at the (private) labels;
            None takes all. For ``glyphs``, how many to draw; None draws 60,000 or 10,000.
        seed: public; decides the subset. For ``glyphs`` it decides the drawing, and no training
            split shares a random stream with any test split.

    Raises:
        InvalidArgument: unknown name or split, too many records, damaged files.
        FileNotFoundError: the files are not there and cannot be downloaded; says where they were
            looked for.
    """
    check_choice("dataset", name, NAMES)
    check_choice("split", split, celeba.PARTITIONS if name == "celeba" else _IDX_PREFIX)
    check_int("seed", seed, low=0, fix="seed=0")
    if num_records is not None:
        check_int("num_records", num_records, low=1, fix="num_records=2000")
    folder = data_root() if root is None else Path(root)
    if name == "glyphs":
        return _load_glyphs(split, num_records, seed)

    def pick(available: int) -> Tensor:
        if num_records is None or num_records == available:
            return torch.arange(available)
        fix = f"num_records={available}, all of the {split} split of {name}"
        check_int("num_records", num_records, low=1, high=available, fix=fix)
        order = torch.randperm(available, generator=stream(seed, "subset", name, split))
        return order[:num_records]

    if name in folders.SHAPES:
        spec = dataset_spec(name, root=folder)
        return ImageData(name, *folders.load_folder(name, folder, split, pick), spec.class_names)
    if name in _IDX:
        return _load_idx(name, folder, split, pick)
    spec = DATASETS[name]
    images, labels = celeba.load_celeba(folder, split, pick, spec.image_shape)
    return ImageData(name, images, labels, spec.class_names)


def train_size(name: str, *, root: Path | str | None = None) -> int:
    """Records in the training split, reading no images. CelebA's prepared parts are counted."""
    check_choice("dataset", name, NAMES)
    folder = data_root() if root is None else Path(root)
    if name in folders.SHAPES:
        return folders.split_size(folder, "train")
    prepared = celeba.prepared_size(folder, "train") if name == "celeba" else None
    return _TRAIN_SIZES[name] if prepared is None else prepared


def available(name: str, *, root: Path | str | None = None, download: bool = True) -> bool:
    """Whether `load` would succeed. Never raises.

    Args:
        name: one of `NAMES`; any other name is not available.
        root: data folder; None takes `data_root`.
        download: fetch what is missing. Without a network this costs at most `DOWNLOAD_SECONDS`
            for each of the one or two servers.
    """
    try:
        check_choice("dataset", name, NAMES)
        folder = data_root() if root is None else Path(root)
        if name in folders.SHAPES:
            return train_size(name, root=folder) > 0
        if name in _IDX:
            if download:
                _download_missing(name, folder)
            return all(check_integrity(path, md5) for path, md5 in _idx_files(name, folder))
        return name != "celeba" or celeba.available(folder)
    except Exception:  # whatever is wrong, `load` says it
        return False


def _load_glyphs(split: str, num_records: int | None, seed: int) -> ImageData:
    count = _GLYPH_COUNTS[split] if num_records is None else num_records
    check_int("num_records", count, low=1, high=MAX_RECORDS, fix=f"num_records={MAX_RECORDS}")
    images, labels = draw_glyphs(count, seed=2 * seed + (split == "test"))
    return ImageData("glyphs", images.float().div_(255), labels, _DIGITS)


def _idx_files(name: str, folder: Path) -> list[tuple[Path, str]]:
    """The compressed IDX files of a data set and their published MD5 sums."""
    raw = folder / _IDX[name].__name__ / "raw"
    return [(raw / filename, md5) for filename, md5 in _IDX[name].resources]


def _download_missing(name: str, folder: Path) -> None:
    """Fetch the files that are absent, each checked before it gets its name."""
    missing = [(path, md5) for path, md5 in _idx_files(name, folder) if not path.exists()]
    if not missing:
        return
    try:
        server = next(filter(_answers, _IDX[name].mirrors), None)
        if server is None:
            raise OSError(f"no answer from {' or '.join(_IDX[name].mirrors)}")
        raw = missing[0][0].parent
        raw.mkdir(parents=True, exist_ok=True)
        with _socket_timeout(), tempfile.TemporaryDirectory(dir=raw) as scratch:
            for path, md5 in missing:
                download_url(server + path.name, scratch, path.name, md5)
                (Path(scratch) / path.name).replace(path)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{name}: {', '.join(path.name for path, _ in missing)} not found in "
            f"{missing[0][0].parent}, and the download failed ({error}). Put the files there, set "
            "DPGEN_DATA to a folder that holds them, or use dataset='glyphs', which needs no files."
        ) from error


def _answers(server: str) -> bool:
    """Whether a server answers in time; a thread, as name look-up knows no time limit."""
    answers = []

    def ask() -> None:
        request = urllib.request.Request(
            server + "train-labels-idx1-ubyte.gz", method="HEAD", headers={"User-Agent": "dpgen"}
        )
        with (
            contextlib.suppress(OSError, ValueError),
            urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS),
        ):
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_SECONDS)
    return bool(answers)


@contextlib.contextmanager
def _socket_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _load_idx(name: str, folder: Path, split: str, pick: Callable[[int], Tensor]) -> ImageData:
    _download_missing(name, folder)
    files = {path.name: (path, md5) for path, md5 in _idx_files(name, folder)}
    prefix = _IDX_PREFIX[split]
    # torchvision's own class would unpack beside the files, where we may not write.
    with tempfile.TemporaryDirectory() as scratch:
        images = read_image_file(_unpack(*files[f"{prefix}-images-idx3-ubyte.gz"], scratch))
        labels = read_label_file(_unpack(*files[f"{prefix}-labels-idx1-ubyte.gz"], scratch))
    spec = DATASETS[name]
    shapes = tuple(images.shape), tuple(labels.shape)
    good = shapes == ((len(labels), *spec.image_shape[1:]), (len(labels),))
    rule = f"(N, {', '.join(map(str, spec.image_shape[1:]))}) and (N,)"
    require(good, f"shapes of {name}/{split}", shapes, rule, "fresh copies of the files")
    rows = pick(len(labels))
    chosen = images[rows, None].float().div_(255)  # (N, 1, 28, 28)
    return ImageData(name, chosen, labels[rows], spec.class_names)


def _unpack(path: Path, md5: str, scratch: str) -> str:
    """A checked, unpacked copy in `scratch`."""
    packed = path.read_bytes()
    found = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    rule = f"{md5}, the published file's; this one is damaged or another"
    require(found == md5, f"MD5 sum of {path}", found, rule, "a fresh copy of the file")
    target = Path(scratch) / path.stem
    target.write_bytes(gzip.decompress(packed))
    return str(target)
