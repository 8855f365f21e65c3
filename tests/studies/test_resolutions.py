"""Larger pictures: it goes on where it stopped, and its figures are those of the releases."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from made_resolutions import made
from PIL import Image

from companion.studies import resolutions
from companion.studies.resolutions import (
    MODES,
    PLAIN,
    RADII,
    SIDES,
    Point,
    kept_lengths,
    load_resolutions,
    main,
    means,
    missing,
    pictures,
    pixel_noise,
    usual_side,
)
from dpgen_core.data.sets import load
from dpgen_core.evaluation.metrics import EvaluationSettings
from dpgen_core.training.session import make_prior

SMALL = EvaluationSettings(
    synthetic_records=40, real_records=40, classifier_epochs=1, neighbor_records=20
)


class _Here:
    """Stands in for the pool of one fresh process, which would not see the small settings."""

    def __init__(self, *_: object, **__: object) -> None:
        self.answer: object = None

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, measure: object, *arguments: object) -> _Here:
        self.answer = measure(*arguments)  # type: ignore[operator]
        return self

    def result(self) -> object:
        return self.answer


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = (
        Point("glyphs", "gaussian", 16, 10.0),
        Point("glyphs", "mixture", 16, 10.0, repair=MODES),
    )
    monkeypatch.setattr(resolutions, "points", lambda: iter(both))
    for name, value in (("RECORDS", 300), ("TEST_RECORDS", 50), ("SETTINGS", SMALL)):
        monkeypatch.setattr(resolutions, name, value)
    monkeypatch.setattr(resolutions, "ProcessPoolExecutor", _Here)
    resolutions.run_all(missing(tmp_path)[:1], tmp_path)
    assert missing(tmp_path) == [both[1]]
    assert main(["--results", str(tmp_path)]) == 0 and not missing(tmp_path)
    found = load_resolutions(tmp_path)
    assert found["settings"]["num_records"] == 300 and found["settings"]["classifier_epochs"] == 1
    plain, repaired = (found["points"][point.name()] for point in both)
    assert (plain["modes"], repaired["modes"], plain["codes"]) == (12, 16, 144)
    assert 0 < plain["training_peak_gigabytes"] <= plain["peak_gigabytes"]
    assert 0 < plain["kept_of_codes"] <= 1 and plain["pixel_noise"] > 0
    json.dumps(found, allow_nan=False)


def test_every_repair_stands_beside_the_preset_and_changes_something() -> None:
    there = list(resolutions.points())
    assert len(there) == len(set(there))
    for point in there:
        if point.repair != PLAIN:
            assert Point(**(vars(point) | {"repair": PLAIN})) in there
            assert point.image_size != usual_side(point.dataset)
    for dataset, sides in SIDES.items():
        assert {point.image_size for point in there if point.dataset == dataset} == set(sides)


def test_repairs_grow_with_the_side_and_cost_no_budget() -> None:
    plain, radii, modes = (
        Point("glyphs", "mixture", 56, 10.0, repair).config(2000)
        for repair in (PLAIN, RADII, MODES)
    )
    assert radii.prior.mean_radius == 2 * plain.prior.mean_radius
    assert radii.prior.covariance_radius == 2 * plain.prior.covariance_radius
    assert (radii.prior.modes, modes.prior.modes) == (12, 18)
    assert plain.privacy == radii.privacy == modes.privacy


def test_noise_of_a_pixel_is_that_of_released_means() -> None:
    """From the difference of two releases of the same records under other noise."""
    config = Point("glyphs", "gaussian", 32, 10.0).config(2000)  # counts are nearly exact
    data = load("glyphs", "train", num_records=2000, image_size=32)
    device = torch.device("cpu")
    one, two = (make_prior(config, data, key, device=device) for key in ("a", "b"))
    gap = one.basis.decode((one.means - two.means)[:, 0].float() * one.scale)
    assert float(gap.std()) / math.sqrt(2) == pytest.approx(pixel_noise(config), rel=0.1)


def test_a_clip_of_half_the_length_keeps_half() -> None:
    config = Point("glyphs", "gaussian", 28, 1.0).config(1000)
    data = load("glyphs", "train", num_records=1000)
    assert kept_lengths(
        config.replace(prior_mean_radius=1e6, prior_covariance_radius=1e6), data
    ) == (
        1,
        1,
    )
    whole, _ = kept_lengths(config.replace(prior_mean_radius=0.02), data)
    half, _ = kept_lengths(config.replace(prior_mean_radius=0.01), data)
    assert half == pytest.approx(whole / 2)


def test_the_same_photographs_are_seen_at_every_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "celeba64" / "celeba"
    (base / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(4)]
    for number, name in enumerate(names):
        picture = np.full((64, 64, 3), 50 * number, np.uint8)
        Image.fromarray(picture).save(base / "img_align_celeba" / name, quality=100)
    (base / "list_eval_partition.txt").write_text("".join(f"{name} 0\n" for name in names))
    rows = "".join(f"{name} {1 if number % 2 else -1}\n" for number, name in enumerate(names))
    (base / "list_attr_celeba.txt").write_text(f"4\nMale\n{rows}")
    (tmp_path / "celeba").mkdir()
    (tmp_path / "celeba" / "celeba32-0.npz").touch()  # prepared parts, which must not be read
    monkeypatch.setenv("DPGEN_DATA", str(tmp_path))
    for side in SIDES["celeba"]:
        found = pictures("celeba", "train", side, 4)
        assert found.images.shape == (4, 3, side, side) and found.labels.tolist() == [0, 1, 0, 1]
        means_seen = found.images.mean((1, 2, 3)) * 255
        assert means_seen.tolist() == pytest.approx([0, 50, 100, 150], abs=3)


def test_means_are_over_seeds() -> None:
    rows = means(made(seeds=(0, 1)))
    some = rows[(rows["dataset"] == "glyphs") & (rows["repair"] == RADII) & (rows["epsilon"] == 10)]
    assert list(some["n"]) == [2] and list(some["g2r_cnn"]) == pytest.approx([0.81])
    assert list(some["detail"]) == pytest.approx([0.5])
    assert means({}).empty
