"""The family of MNIST: 28 x 28 gray images in IDX files.

MNIST, Fashion-MNIST and Kuzushiji-MNIST are four compressed files each; EMNIST is one archive of such
files for all its parts. Torchvision's classes know names, checksums and servers; they are not asked to
read, as they unpack into a folder that may be read-only.
"""

from __future__ import annotations

import functools
import gzip
import string
import zipfile

import torch
from torch import Tensor

from dpgen_core.data.published import Files, PathOf, PublishedSet
from dpgen_core.data.sources import DIGITS, DatasetSpec, Loaded

_SHAPE = (1, 28, 28)
_PREFIX = {"train": "train", "test": "t10k"}
_IMAGES, _LABELS = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"  # how the files' names end
_CLOTHES = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_EMNIST_ARCHIVE = "gzip.zip"
# Of the other small letters, which look like their capitals, the balanced part makes no classes.
_BALANCED = (*DIGITS, *string.ascii_uppercase, *"abdefghnqrt")


def _read_idx(images: bytes, labels: bytes) -> Loaded:
    """Images (N, 1, 28, 28), uint8, and labels (N,), int64, from two compressed files."""
    return _values(images, dimensions=3).view(-1, *_SHAPE), _values(labels, dimensions=1).long()


def _values(compressed: bytes, *, dimensions: int) -> Tensor:
    """The content of a file, flat; the header has four bytes plus four a dimension."""
    content = bytearray(gzip.decompress(compressed))
    return torch.frombuffer(content, dtype=torch.uint8, offset=4 * (1 + dimensions))


def _read(path_of: PathOf, split: str) -> Loaded:
    names = (f"{_PREFIX[split]}-{end}" for end in (_IMAGES, _LABELS))
    return _read_idx(*(path_of(name).read_bytes() for name in names))


def _files(known: str) -> Files:
    """As torchvision's class of that name has them."""
    from torchvision import datasets

    found = getattr(datasets, known)
    return Files(f"{known}/raw", dict(found.resources), tuple(found.mirrors))


def _like_mnist(name: str, known: str, class_names: tuple[str, ...]) -> PublishedSet:
    spec = DatasetSpec(name, _SHAPE, class_names)
    return PublishedSet(spec, 60_000, functools.partial(_files, known), _read)


def _emnist_files() -> Files:
    from torchvision.datasets import EMNIST

    server, _, name = EMNIST.url.rpartition("/")
    return Files("EMNIST/raw", {name: EMNIST.md5}, (f"{server}/",))


def _read_emnist(part: str, first_label: int, path_of: PathOf, split: str) -> Loaded:
    """The files hold every image column by column; here it is upright."""
    with zipfile.ZipFile(path_of(_EMNIST_ARCHIVE)) as archive:
        names = (f"gzip/emnist-{part}-{split}-{end}" for end in (_IMAGES, _LABELS))
        images, labels = _read_idx(*(archive.read(name) for name in names))
    return images.mT, labels - first_label


def _emnist(part: str, records: int, class_names: tuple[str, ...], first: int) -> PublishedSet:
    spec = DatasetSpec(f"emnist_{part}", _SHAPE, class_names)
    read = functools.partial(_read_emnist, part, first)
    return PublishedSet(spec, records, _emnist_files, read)


MNIST = _like_mnist("mnist", "MNIST", DIGITS)
FASHION_MNIST = _like_mnist("fashion_mnist", "FashionMNIST", _CLOTHES)
KMNIST = _like_mnist("kmnist", "KMNIST", _KANA)
EMNIST_LETTERS = _emnist("letters", 124_800, tuple(string.ascii_lowercase), first=1)
EMNIST_BALANCED = _emnist("balanced", 112_800, _BALANCED, first=0)
