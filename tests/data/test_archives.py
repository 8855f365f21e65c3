"""An archive's images are read as they are needed, whatever its order and length."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dpgen_core.checks import InvalidArgument
from dpgen_core.data import archives, sets
from dpgen_core.delivery.survey import survey


def test_images_of_an_archive_are_read_in_any_order(tmp_path: Path) -> None:
    images = np.arange(9 * 4 * 4, dtype=np.uint16).reshape(9, 4, 4)
    path = tmp_path / "set.npz"
    for saved in (images, np.asfortranarray(images)):
        np.savez_compressed(path, images=saved, labels=np.arange(9))
        found = archives.read_images(path, 9)
        for place in (0, 1, 2, 2, 5, 3, 8, 0, 8):
            assert np.array_equal(found[place], images[place]) and found[place].dtype == np.uint16


def test_an_archive_is_not_held_in_memory(tmp_path: Path) -> None:
    images, path = np.zeros((300, 256, 256), np.uint8), tmp_path / "set.npz"
    np.savez_compressed(path, images=images, labels=np.arange(300) % 2)
    tracemalloc.start()
    survey(path, channels=1, size=16, maximum=None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < images.nbytes / 4


def test_an_archive_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    noise = np.random.default_rng(0).integers(0, 256, (12, 64, 64)).astype(np.uint8)
    np.savez(path, labels=np.arange(12) % 2, images=noise)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # a bit of a pixel
    path.write_bytes(content)
    with pytest.raises(InvalidArgument, match="images in .*set.npz: received .BadZipFile"):
        sets.load("folder_gray", "all", root=path)
