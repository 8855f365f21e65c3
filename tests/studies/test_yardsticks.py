"""The study of protocols: its sets are those of the records, and it goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from companion.studies import yardsticks
from companion.studies.yardsticks import REAL, SETS, JudgedSet, load_yardsticks, missing
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation.metrics import EvaluationSettings
from dpgen_core.evaluation.protocols import PROTOCOLS, DeepProtocol
from dpgen_core.experiment import run_experiment
from dpgen_core.pixels import to_bytes


@pytest.fixture(scope="module")
def records() -> ImageData:
    return load("glyphs", "train", num_records=1200)


def test_a_set_begins_with_the_images_of_the_record(records: ImageData, tmp_path: Path) -> None:
    one = JudgedSet("glyphs", "mixture")
    small = {"synthetic_records": 500, "real_records": 100, "classifier_epochs": 1}
    config = make_config(dataset="glyphs", method="mixture", num_records=1200, **small)
    record = run_experiment(config, results_dir=tmp_path, progress=False)
    with np.load(record.path / "synthetic.npz") as arrays:
        known = torch.from_numpy(arrays["images"])
    assert torch.equal(to_bytes(one.sample(records, 1000).images[:500]), known)
    former = replace(one, curve="logistic").sample(records, 500).images
    assert not torch.equal(to_bytes(former), known)
    assert replace(one, method=REAL).sample(records, 10) is records


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = DeepProtocol(epochs=1, batch_size=32, synthetic_records=60, simple_records=40)
    monkeypatch.setitem(PROTOCOLS, "deep", few)
    monkeypatch.setitem(PROTOCOLS, "quick", EvaluationSettings(60, 60, 1, 20))
    monkeypatch.setattr(yardsticks, "load", lambda name, split: load(name, split, num_records=1200))
    monkeypatch.setattr(yardsticks, "SETS", (JudgedSet("glyphs", "mixture"),))
    left = missing(tmp_path)
    assert [protocol for _, protocol in left] == ["deep", "quick"]
    yardsticks.run_all(left[:1], tmp_path)
    assert [protocol for _, protocol in missing(tmp_path)] == ["quick"]
    assert yardsticks.main(["--results", str(tmp_path)]) == 0
    found = load_yardsticks(tmp_path)
    (answer,) = found["deep"].values()
    assert answer["protocol"]["epochs"] == 1 and answer["set"]["curve"] == "full-range"
    assert found["quick"].keys() == found["deep"].keys() and not missing(tmp_path)
    json.dumps(found, allow_nan=False)


def test_every_set_has_its_control() -> None:
    for one in SETS:
        if one == JudgedSet(one.dataset, "mixture", one.epsilon, one.seed):
            controls = {"dither": 0.08}, {"grain": 0.5}, {"curve": "logistic"}
            assert {replace(one, **change) for change in controls} <= set(SETS)
    assert "grain" not in JudgedSet("mnist", "mixture").name()
    assert JudgedSet("mnist", "mixture", grain=0.5).name().endswith(", grain 0.5")
