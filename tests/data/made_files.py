"""Small files in the published formats, and what lies in a folder."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets as tv

from dpgen_core.data.sets import ImageData

COUNTS = {"train": 30, "t10k": 12}


def tree(root: Path) -> list[tuple[str, int, int]]:
    """Every path below the root with size and time of change."""
    paths = [root, *root.rglob("*")]
    stats = [(str(path), path.stat()) for path in sorted(paths)]
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


def trust(monkeypatch: pytest.MonkeyPatch, raw: Path) -> None:
    """Make the files that lie there the published ones."""
    sums = [
        (name, hashlib.md5((raw / name).read_bytes()).hexdigest()) for name, _ in tv.MNIST.resources
    ]
    monkeypatch.setattr(tv.MNIST, "resources", sums)


def numbers(loaded: ImageData) -> list[int]:
    return (loaded.images[:, 0, 0, 0] * 255).round().int().tolist()


def part(path: Path, **changed: np.ndarray | None) -> None:
    """Eight records; green is 255 for men, red the partition."""
    partition = np.array([0, 0, 0, 0, 1, 2, 2, 2], dtype=np.uint8)
    male = np.array([1, 0, 1, 1, 0, 0, 1, 0], dtype=np.uint8)
    images = np.zeros((8, 3, 32, 32), dtype=np.uint8)
    images[:, 0], images[:, 1] = partition[:, None, None], 255 * male[:, None, None]
    arrays = {"images": images, "male": male, "partition": partition} | changed
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(path, **kept)  # type: ignore[arg-type]
