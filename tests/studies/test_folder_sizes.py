"""Folders of many sizes: drawn alike each time, measured once, and what a run says is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from companion.studies.benchmarks import own_images
from companion.studies.benchmarks.own_images import (
    SHAPES,
    Folder,
    drawn_shapes,
    forecast_in,
    load_own_images,
    main,
    missing,
    write_shapes,
)
from dpgen_core.checks import InvalidArgument
from dpgen_core.data.folders import list_folder

SMALL = Folder(24, 28, color=False, evaluated=False)


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_images, "folders", lambda: [SMALL, Folder(60, 32, True)])
    monkeypatch.setattr(own_images, "measure", lambda folder: {"seconds": folder.images})
    own_images.run_all(missing(tmp_path)[:1], tmp_path)
    assert missing(tmp_path) == [Folder(60, 32, True)]
    assert main(["--results", str(tmp_path)]) == 0 and not missing(tmp_path)
    found = load_own_images(tmp_path)
    assert found["made_with"]["commit"]
    assert {row["seconds"] for row in found["folders"].values()} == {24, 60}


def test_a_run_is_measured_from_the_command_to_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")  # which users do not set
    row = own_images.measure(SMALL, ["--count", "40"])  # in place of 20,000 images
    assert row["processor_seconds"] > 0 and 0.2 < row["memory_gb"] < 4
    assert row["forecast_seconds"] > 0 and row["forecast_gb"] > 0.2
    assert row["g2r_cnn"] is None and row["images"] == 24


def test_all_sizes_are_there_and_small_ones_come_first() -> None:
    there = own_images.folders()
    assert len(there) == len(set(there)) == 4 * 4 * 2 + 1
    sizes = [one.images * one.side**2 for one in there]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("color", [False, True])
def test_drawings_are_the_same_each_time_and_classes_differ(color: bool, tmp_path: Path) -> None:
    folder = Folder(8, 32, color)
    write_shapes(tmp_path, folder)
    listing = list_folder(tmp_path)
    assert listing.class_names == SHAPES and listing.counts() == [2, 2, 2, 2]
    for (path, _), pixels in zip(listing.files, drawn_shapes(folder), strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), pixels)
    shares = [float((pixels > 120).mean()) for pixels in drawn_shapes(folder)]
    assert min(shares) > 0.02 and max(shares) < 0.5


@pytest.mark.parametrize(("unit", "seconds"), [("s", 7.0), ("min", 420.0)])
def test_a_forecast_is_read_from_what_was_said(unit: str, seconds: float) -> None:
    said = f"one line\nforecast: about 7 {unit} and 1.2 GB of memory\nanother\n"
    assert forecast_in(said) == {"forecast_seconds": seconds, "forecast_gb": 1.2}
    with pytest.raises(InvalidArgument, match="said"):
        forecast_in("nothing")
