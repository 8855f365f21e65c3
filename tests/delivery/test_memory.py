"""The memory that is forecast is what runs took; the committed study has measured them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from companion.studies.benchmarks.own_images import EPSILON, SHAPES, Folder, load_own_images
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import RECOMMENDED
from dpgen_core.delivery.memory import gigabytes

ROOT = Path(__file__).parents[2]
MEASURED = load_own_images(ROOT / "results").get("folders", {})
ALLOWED = 0.25


def told(folder: Folder, scratch: Path) -> float:
    """What `dpgen synthesize` would say of such a folder."""
    path = scratch / "set.npz"
    labels = np.arange(folder.images) % len(SHAPES)
    np.savez(path, images=np.zeros((folder.images, 1, 1), np.uint8), labels=labels)
    config = make_config(
        dataset="folder_color" if folder.color else "folder_gray",
        method=RECOMMENDED["photographs" if folder.color else "drawings"][0],
        epsilon=EPSILON,
        root=path,
        image_size=folder.side,
        evaluated=folder.evaluated,
    )
    return gigabytes(config, folder.images)


@pytest.mark.parametrize("name", MEASURED)
def test_the_forecast_is_about_right(name: str, tmp_path: Path) -> None:
    row = MEASURED[name]
    folder = Folder(row["images"], row["side"], row["color"], row["evaluated"])
    expected = told(folder, tmp_path)
    assert abs(expected / row["memory_gb"] - 1) < ALLOWED
    assert row["forecast_gb"] == pytest.approx(expected, abs=0.051)  # it is what the run said


def test_more_of_anything_takes_more(tmp_path: Path) -> None:
    large = Folder(6_000, 128, True)
    most = told(large, tmp_path)
    for less in ({"images": 600}, {"side": 64}, {"color": False}, {"evaluated": False}):
        assert told(replace(large, **less), tmp_path) < most
