"""Galleries: the lowest seed's images under means over the seeds, and no picture of CelebA."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from made_records import make_record
from PIL import Image

from companion.book.gallery import gallery
from companion.studies.committed import committed_records
from dpgen_core.checks import InvalidArgument
from dpgen_core.records.record import Record
from dpgen_core.records.sheets import png_bytes, sample_sheet


def with_sheet(record: Record, shade: float) -> None:
    """Its sheet: MNIST-sized images of one shade, in a black frame."""
    images = torch.zeros(100, 1, 28, 28)
    images[:, :, 4:24, 4:24] = shade
    labels = torch.arange(10).repeat_interleave(10)
    record.samples_png.write_bytes(png_bytes(sample_sheet(images, labels)))


def shades(data: bytes) -> list[int]:
    """The commonest shades between black and white, commonest first."""
    with Image.open(io.BytesIO(data)) as picture:
        values, counts = np.unique(np.asarray(picture.convert("L")), return_counts=True)
    order = np.argsort(-counts)
    return [int(v) for v in values[order] if 20 < v < 235]


def test_lowest_seed_is_shown_and_seeds_are_averaged(tmp_path: Path) -> None:
    with_sheet(make_record(tmp_path, seed=1, g2r_cnn=0.9, recall=0.2), 0.8)
    with_sheet(make_record(tmp_path, seed=0, g2r_cnn=0.8, recall=0.4), 0.4)
    with_sheet(make_record(tmp_path, method="gaussian", epsilon=1.0), 0.8)
    picture = gallery(committed_records(tmp_path), dataset="mnist", epsilon=10.0)
    assert abs(shades(picture.data)[0] - 0.4 * 255) < 4
    assert picture.alt == (
        "Sheets of generated MNIST at epsilon 10, 4 images of each class by each method: efsgd."
    )


def test_methods_asked_for_come_in_that_order(tmp_path: Path) -> None:
    for method in ("efsgd", "efsgd/no-reconstruction", "gaussian"):
        with_sheet(make_record(tmp_path, method=method), 0.5)
    asked = ("gaussian", "efsgd/no-reconstruction", "mixture")
    records = committed_records(tmp_path)
    picture = gallery(records, dataset="mnist", epsilon=10.0, methods=asked)
    assert str(picture.alt).endswith("by each method: gaussian, efsgd/no-reconstruction.")


def test_without_records_there_is_a_notice_and_celeba_is_refused() -> None:
    assert "no record" in str(gallery([], dataset="mnist", epsilon=1.0).alt)
    with pytest.raises(InvalidArgument, match="dataset: received 'celeba'"):
        gallery([], dataset="celeba", epsilon=1.0)
