"""The study of noise on samples: its forms, its judging records, and that it goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from companion.studies import sample_noise
from companion.studies.sample_noise import FORMS, NONE, Point, load_sample_noise, missing
from companion.studies.settings_search import split
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation.protocols import PROTOCOLS, DeepProtocol
from dpgen_core.streams import stream

FEW = DeepProtocol(epochs=1, batch_size=32, synthetic_records=60, simple_records=40)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_repeats_keeps_the_range_and_changes_something(form: str) -> None:
    images = load("glyphs", "train", num_records=40).images
    once, again = (FORMS[form](images, stream(0, "sample noise")) for _ in range(2))
    assert torch.equal(once, again) and once.shape == images.shape
    assert once.min() >= 0 and once.max() <= 1
    assert torch.equal(once, images) == (form == NONE)


def test_forms_differ_in_where_they_put_noise_and_how_much() -> None:
    images = torch.cat([torch.zeros(300, 1, 8, 8), torch.full((300, 1, 8, 8), 0.5)], dim=3)
    noise = {name: FORMS[name](images, stream(0, "sample noise")) - images for name in FORMS}
    for name in ("on marks", "grain", "grain, stronger"):
        assert not noise[name][..., :8].any(), name
    for name in ("dither", "dither, twice", "dither, varied"):
        assert noise[name][..., :8].any(), name
    levels = {name: noise[name][..., 8:].flatten(1).std(1) for name in FORMS}
    for name in ("dither, varied", "grain", "grain, stronger"):
        assert levels[name].std() > 0.3 * levels[name].mean(), name
    for name in ("dither", "dither, twice", "on marks"):
        assert levels[name].std() < 0.2 * levels[name].mean(), name


def test_it_judges_held_out_records_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def parts(name: str) -> tuple[ImageData, ImageData]:
        asked.append(name)
        return load(name, "train", num_records=1000), load(name, "train", num_records=100, seed=1)

    monkeypatch.setitem(PROTOCOLS, "deep", FEW)
    monkeypatch.setattr(sample_noise, "split", parts)
    monkeypatch.setattr(sample_noise, "METHODS", {"glyphs": "mixture"})
    monkeypatch.setattr(sample_noise, "MODES", {"glyphs": (8,)})
    monkeypatch.setattr(sample_noise, "HEATED", {"glyphs": [("grain", None, 1.5)]})
    monkeypatch.setattr(sample_noise, "FORMS_BY_DATASET", {"glyphs": FORMS})
    left = missing(tmp_path)
    forms = len(FORMS) + len(sample_noise.MODES_UNDER) + 1
    assert len(left) == forms * len(sample_noise.EPSILONS)
    sample_noise.run_all([Point("grain", "glyphs", 10.0)], tmp_path)
    assert asked == ["glyphs"] and len(missing(tmp_path)) == len(left) - 1
    monkeypatch.setattr(sample_noise, "FORMS_BY_DATASET", {"glyphs": ("grain",)})
    monkeypatch.setattr(sample_noise, "MODES_UNDER", ("grain",))
    assert sample_noise.main(["--results", str(tmp_path)]) == 0 and not missing(tmp_path)
    found = load_sample_noise(tmp_path)
    first, finer, hot, *_ = found["points"].values()
    assert first["epsilon"] == 10.0 and len(first["accuracy_by_epoch"]) == 1
    assert (finer["modes"], first["modes"]) == (8, None) and len(found["points"]) == 6
    assert (hot["temperature"], first["temperature"]) == (1.5, None)
    assert hot["accuracy_by_epoch"] != first["accuracy_by_epoch"]
    assert finer["modes_released"] == 8 != first["modes_released"]
    json.dumps(found, allow_nan=False)


def test_the_split_is_that_of_the_search() -> None:
    assert sample_noise.split is split
