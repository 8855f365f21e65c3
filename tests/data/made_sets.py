"""Small copies of the published data sets, in their own formats, written from their descriptions."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from made_files import idx
from scipy.io import savemat

from dpgen_core.data import sets
from dpgen_core.data.published import Files, PublishedSet

Arrays = tuple[np.ndarray, np.ndarray]  # images (N, c, h, w), uint8, and labels (N,)
CLOSED = "http://127.0.0.1:9/"  # nobody listens there


def pictures(name: str, split: str, count: int) -> Arrays:
    """Noise, so that no turned or mirrored copy is equal, with all labels in turn."""
    spec = sets.DATASETS[name]
    drawn = np.random.default_rng([len(name), count, split == "test"])
    images = drawn.integers(0, 256, size=(count, *spec.image_shape), dtype=np.uint8)
    return images, (np.arange(count) % spec.num_classes).astype(np.uint8)


def kmnist(place: Path, train: Arrays, test: Arrays) -> None:
    for prefix, (images, labels) in (("train", train), ("t10k", test)):
        (place / f"{prefix}-images-idx3-ubyte.gz").write_bytes(idx(images[:, 0]))
        (place / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(idx(labels))


def emnist(part: str, first: int) -> Callable[[Path, Arrays, Arrays], None]:
    """Images are stored column by column, the letters' labels from 1; beside them lie other parts."""

    def write(place: Path, train: Arrays, test: Arrays) -> None:
        with zipfile.ZipFile(place / "gzip.zip", "w") as archive:
            archive.writestr("gzip/emnist-digits-train-labels-idx1-ubyte.gz", b"another part")
            for split, (images, labels) in (("train", train), ("test", test)):
                begin = f"gzip/emnist-{part}-{split}"
                stored = np.ascontiguousarray(images[:, 0].transpose(0, 2, 1))
                archive.writestr(f"{begin}-images-idx3-ubyte.gz", idx(stored))
                archive.writestr(f"{begin}-labels-idx1-ubyte.gz", idx(labels + np.uint8(first)))

    return write


def cifar10(place: Path, train: Arrays, test: Arrays) -> None:
    """A byte for the label, then red, green and blue row by row; the archive is in no order."""
    parts = {"test_batch.bin": test, "batches.meta.txt": None}
    fives = (np.array_split(array, 5) for array in train)
    for number, (images, labels) in reversed(list(enumerate(zip(*fives, strict=True), start=1))):
        parts[f"data_batch_{number}.bin"] = images, labels
    with tarfile.open(place / "cifar-10-binary.tar.gz", "w:gz") as archive:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for file, arrays in parts.items():
            content = b"airplane" if arrays is None else b"".join(_cifar_records(*arrays))
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{file}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _cifar_records(images: np.ndarray, labels: np.ndarray) -> Iterator[bytes]:
    for image, label in zip(images, labels, strict=True):
        yield bytes([label]) + image.tobytes()


def svhn(place: Path, train: Arrays, test: Arrays) -> None:
    """MATLAB arrays X (h, w, c, N) and y (N, 1), where the digit 0 is labeled 10."""
    for split, (images, labels) in (("train", train), ("test", test)):
        stored = {
            "X": images.transpose(2, 3, 1, 0),
            "y": np.where(labels == 0, 10, labels)[:, None],
        }
        savemat(place / f"{split}_32x32.mat", stored, do_compression=True)


def pneumoniamnist(place: Path, train: Arrays, test: Arrays) -> None:
    """Six arrays, of which the last images of the training split are the part for validation."""
    cut = len(train[1]) - 5
    parts = {"train": tuple(a[:cut] for a in train), "val": tuple(a[cut:] for a in train)}
    stored = {}
    for part, (images, labels) in (parts | {"test": test}).items():
        stored |= {f"{part}_images": images[:, 0], f"{part}_labels": labels[:, None]}
    np.savez(place / "pneumoniamnist.npz", **stored)


@dataclass(frozen=True)
class Made:
    """How a set is written, and where it is looked for below the root."""

    write: Callable[[Path, Arrays, Arrays], None]
    folder: str


MADE = {
    "kmnist": Made(kmnist, "KMNIST/raw"),
    "emnist_letters": Made(emnist("letters", 1), "EMNIST/raw"),
    "emnist_balanced": Made(emnist("balanced", 0), "EMNIST/raw"),
    "cifar10": Made(cifar10, ""),
    "svhn": Made(svhn, ""),
    "pneumoniamnist": Made(pneumoniamnist, "medmnist"),
}


def make(name: str, root: Path, patch: pytest.MonkeyPatch, *, train: int, test: int) -> None:
    """Write a small copy below the root and make it the published one."""
    place = root / MADE[name].folder
    place.mkdir(parents=True)
    MADE[name].write(place, pictures(name, "train", train), pictures(name, "test", test))
    publish(name, patch, published_from=place)


def publish(
    name: str, patch: pytest.MonkeyPatch, *, published_from: Path, server: str = CLOSED
) -> None:
    """Make the files that lie in a folder the published ones, served by `server`."""
    source = sets.SOURCES[name]
    assert isinstance(source, PublishedSet)
    known = source.files()
    sums = {
        file: hashlib.md5((published_from / file).read_bytes()).hexdigest() for file in known.sums
    }
    files = Files(known.folder, sums, (server,))
    patch.setitem(sets.SOURCES, name, replace(source, files=lambda: files))  # type: ignore[arg-type]
    patch.setenv("no_proxy", "127.0.0.1")
