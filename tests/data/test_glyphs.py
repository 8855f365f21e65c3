"""The drawn digits: determinism, balance, ink where it belongs, and classes one can tell apart."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from companion.studies.fork_server import fork_server
from dpgen_core.checks import InvalidArgument
from dpgen_core.data import glyphs
from dpgen_core.data.glyphs import draw_glyphs
from dpgen_core.data.sets import ImageData, load


def _digest(num_records: int, seed: int) -> str:
    images, labels = draw_glyphs(num_records, seed=seed)
    return hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()


def test_another_process_draws_the_same_digits() -> None:
    one_thread = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(1, mp_context=fork_server(), **one_thread) as pool:
        found = pool.submit(_digest, 37, 5).result()
    assert found == _digest(37, seed=5)


def test_the_seed_decides_and_the_global_generators_do_not() -> None:
    first = _digest(37, seed=5)
    torch.manual_seed(1)
    assert _digest(37, seed=5) == first
    assert _digest(37, seed=6) != first
    before = torch.get_rng_state()
    draw_glyphs(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_size_shows_the_same_digits_with_edges_of_its_own() -> None:
    """Strokes keep their share of the image, and the random numbers do not depend on the size."""
    drawn = {side: draw_glyphs(60, image_size=side) for side in (16, 28, 32, 64, 128)}
    usual, labels = draw_glyphs(60)
    assert torch.equal(drawn[28][0], usual)
    for small, large in ((16, 64), (16, 128), (32, 64), (32, 128)):
        images, large_images = drawn[small][0].double(), drawn[large][0].double()
        assert images.shape == (60, 1, small, small) and large_images.shape[2:] == (large, large)
        assert torch.equal(drawn[small][1], labels) and torch.equal(drawn[large][1], labels)
        gap = images - F.avg_pool2d(large_images, large // small)
        assert gap.abs().mean() < 0.04 * 255 and abs(gap.mean()) < 0.003 * 255
    gray = [float(((i > 0) & (i < 255)).double().mean()) for i, _ in drawn.values()]
    assert gray == sorted(gray, reverse=True) and gray[-1] < 0.3 * gray[0]


@pytest.mark.parametrize("bad", [0, 12, 30, 132, 28.0, True])
def test_a_bad_size_is_refused(bad: object) -> None:
    with pytest.raises(InvalidArgument, match="image_size.*multiple of 4"):
        draw_glyphs(10, image_size=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_records", [1, 9, 10, 11, 1001, 2503])
def test_any_count_is_balanced_and_shuffled(num_records: int) -> None:
    images, labels = draw_glyphs(num_records)
    assert images.shape == (num_records, 1, 28, 28) and images.dtype == torch.uint8
    assert labels.shape == (num_records,) and labels.dtype == torch.int64
    counts = labels.bincount(minlength=10)
    assert len(counts) == 10 and counts.max() - counts.min() <= 1
    if num_records > 100:
        assert not torch.equal(labels, torch.arange(num_records) % 10)
        assert labels[:100].unique().numel() == 10  # neither sorted nor blockwise


def test_the_largest_count_is_quick_and_the_next_one_refused() -> None:
    started = time.process_time()
    images, labels = draw_glyphs(60_000)
    assert time.process_time() - started < 30
    assert len(images) == 60_000 and labels.bincount().tolist() == [6_000] * 10


@pytest.mark.parametrize("bad", [0, -1, 60_001, 2.5, "10", True])
def test_a_bad_count_is_refused(bad: object) -> None:
    with pytest.raises(InvalidArgument, match="num_records"):
        draw_glyphs(bad)  # type: ignore[arg-type]


def test_a_bad_seed_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="seed"):
        draw_glyphs(10, seed=-1)


def test_every_font_holds_ten_different_digits_inside_the_frame() -> None:
    fields = glyphs._distance_fields(28)
    ink = fields > 0
    assert fields.shape[:2] == (len(glyphs.FONTS), 10)
    for name, font in zip(glyphs.FONTS, ink.flatten(2), strict=True):
        assert bool(font.any(dim=1).all()), f"{name} has an empty digit"
        overlap = (font[:, None] & font[None]).sum(-1) / (font[:, None] | font[None]).sum(-1)
        assert overlap.fill_diagonal_(0).max() < 0.8, f"{name} repeats a digit (the .notdef box?)"
    edge = torch.cat([ink[..., 0, :], ink[..., -1, :], ink[..., :, 0], ink[..., :, -1]], dim=-1)
    assert not bool(edge.any())


def test_distances_are_signed_and_in_pixels() -> None:
    """Half the height of the box apart: a field in fine samples would be four times as large."""
    fields = glyphs._distance_fields(28)
    one = fields[glyphs.FONTS.index("DejaVuSans-Bold"), 1]
    rows = (one > 0).any(dim=1).sum() / glyphs._FINE
    assert abs(float(rows) - glyphs._BOX) < 1
    assert 1.5 < float(one.max()) < 3  # half a bold stem
    assert float(one[0, 0]) == pytest.approx(float(one.min()), abs=3) and float(one.min()) < -5


def test_no_record_is_blank_dim_full_or_off_center() -> None:
    images, _ = draw_glyphs(5_000)
    pixels = images[:, 0].double() / 255
    mass = pixels.sum(dim=(1, 2))
    assert images.amax(dim=(1, 2, 3)).min() > 128  # every record has a white stroke
    assert images.amin() == 0 and images.amax() == 255
    assert mass.min() > 20 and mass.max() < 300  # of 784: white on black, never inverted
    offset = torch.arange(28).double() - 13.5
    down, right = ((pixels.sum(d) * offset).sum(1) / mass for d in (2, 1))
    assert abs(down.mean()) < 0.1 and abs(right.mean()) < 0.1
    assert max(down.abs().max(), right.abs().max()) < 3
    grey = ((images > 0) & (images < 255)).double().mean()
    assert 0.05 < grey < 0.5  # antialiased
    border = torch.cat([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], dim=1)
    assert (border.amax(dim=1) > 0.5).double().mean() < 0.05  # hardly ever cut off


def test_stroke_width_varies_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """One font, and neither affine map nor bend: what is left is the stroke and its sharpness."""
    only = glyphs._distance_fields(28)[glyphs.FONTS.index("DejaVuSans")][None]
    monkeypatch.setattr(glyphs, "_distance_fields", lambda side: only)
    monkeypatch.setattr(glyphs.torch, "randn", lambda *size, generator: torch.zeros(*size))
    images, labels = draw_glyphs(500)
    mass = images[labels == 1].double().sum(dim=(1, 2, 3))
    assert mass.quantile(0.9) > 1.25 * mass.quantile(0.1)


def test_records_are_all_different() -> None:
    images, _ = draw_glyphs(5_000)
    assert len(np.unique(images.flatten(1).numpy(), axis=0)) == 5_000


def test_classes_can_be_told_apart(tiny_glyphs: ImageData) -> None:
    """Nearest neighbor on 600 records; a mislabeled or blank tenth of them would cost 0.1."""
    test = load("glyphs", "test", num_records=500)
    distances = torch.cdist(test.images.flatten(1), tiny_glyphs.images.flatten(1))
    found = tiny_glyphs.labels[distances.argmin(dim=1)]
    accuracy = (found == test.labels).double().mean()
    assert accuracy > 0.85
    for digit in range(10):
        assert (found == test.labels)[test.labels == digit].double().mean() > 0.6, digit
