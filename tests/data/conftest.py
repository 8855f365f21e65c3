"""Small data sets in the published formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_files import COUNTS, idx, part, trust


@pytest.fixture
def idx_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small MNIST whose pixel (0, 0) is the record's number; its label, that modulo 10."""
    root = tmp_path / "root"
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, count in COUNTS.items():
        images = np.zeros((count, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = np.arange(count)
        images[:, 27, 1] = 255
        (raw / f"{prefix}-images-idx3-ubyte.gz").write_bytes(idx(images))
        labels = (np.arange(count) % 10).astype(np.uint8)
        (raw / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    trust(monkeypatch, raw)
    return root


@pytest.fixture
def celeba_root(tmp_path: Path) -> Path:
    for number in range(11):
        part(tmp_path / "celeba" / f"celeba32-{number}.npz")
    return tmp_path
