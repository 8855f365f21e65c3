"""The study of protocols: its sets are those of the records, and it goes on where it stopped."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from companion.studies import yardsticks
from companion.studies.campaign import RUNS, Run
from companion.studies.committed import committed_records
from companion.studies.yardsticks import (
    BUDGETS,
    BY_BUDGET,
    EPSILONS,
    GRAINS,
    METHODS,
    REAL,
    SETS,
    JudgedSet,
    load_yardsticks,
    missing,
    usual_curve,
)
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import FRAMED_GRAINED, GRAINED
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.sets import ImageData, load
from dpgen_core.evaluation.metrics import EvaluationSettings
from dpgen_core.evaluation.protocols import PROTOCOLS, DeepProtocol
from dpgen_core.experiment import run_experiment
from dpgen_core.pixels import to_bytes
from dpgen_core.training.sampler import GENERATOR_FILE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def records() -> ImageData:
    return load("glyphs", "train", num_records=1200)


def small(**settings: Any) -> ExperimentConfig:
    few: dict[str, Any] = {"synthetic_records": 500, "real_records": 100, "classifier_epochs": 1}
    return make_config(dataset="glyphs", num_records=1200, **few | settings)


def test_a_set_begins_with_the_images_of_the_record(records: ImageData, tmp_path: Path) -> None:
    one = JudgedSet("glyphs", "mixture")
    record = run_experiment(small(method="mixture"), results_dir=tmp_path, progress=False)
    with np.load(record.path / "synthetic.npz") as arrays:
        known = torch.from_numpy(arrays["images"])
    released = one.release(records, tmp_path / "empty")
    assert torch.equal(to_bytes(one.sample(released, 1000).images[:500]), known)
    for change in ({"curve": "logistic"}, {"dither": 0.1}, {"grain": 0.5}):
        other: JudgedSet = replace(one, **change)
        assert other.released_by() == one
        assert not torch.equal(to_bytes(other.sample(released, 500).images), known)


def test_noise_on_a_shared_release_is_that_of_a_run_with_it(
    records: ImageData, tmp_path: Path
) -> None:
    one = JudgedSet("glyphs", "mixture", grain=0.5)
    config = small(method="mixture", grain=0.5)
    record = run_experiment(config, results_dir=tmp_path, progress=False)
    with np.load(record.path / "synthetic.npz") as arrays:
        known = torch.from_numpy(arrays["images"])
    made = one.sample(one.released_by().release(records, tmp_path), 500)
    assert torch.equal(to_bytes(made.images), known)


def test_a_generator_that_lies_there_is_not_made_anew(
    records: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = JudgedSet("glyphs", "gaussian", curve=usual_curve("gaussian"))
    kept = tmp_path / one.config(1200).record_name() / GENERATOR_FILE
    kept.parent.mkdir()
    one.release(records, tmp_path).save(kept)
    monkeypatch.delattr(yardsticks, "train_alone")
    assert len(one.sample(one.release(records, tmp_path), 20).labels) == 20


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = DeepProtocol(epochs=1, batch_size=32, synthetic_records=60, simple_records=40)
    monkeypatch.setitem(PROTOCOLS, "deep", few)
    monkeypatch.setitem(PROTOCOLS, "quick", EvaluationSettings(60, 60, 1, 20))
    monkeypatch.setattr(yardsticks, "load", lambda name, split: load(name, split, num_records=300))
    sets = JudgedSet("glyphs", "mixture", grain=0.5), JudgedSet("glyphs", REAL)
    monkeypatch.setattr(yardsticks, "SETS", sets)
    left = missing(tmp_path)
    assert [protocol for _, protocol in left] == ["deep", "quick", "deep"]
    yardsticks.run_all(left[:1], tmp_path)
    assert [protocol for _, protocol in missing(tmp_path)] == ["quick", "deep"]
    assert yardsticks.main(["--results", str(tmp_path)]) == 0
    found = load_yardsticks(tmp_path)
    answer, real = found["deep"].values()
    assert answer["protocol"]["epochs"] == 1 and answer["set"]["curve"] == "full-range"
    assert real["set"]["method"] == REAL and not missing(tmp_path)
    assert list(found["quick"]) == [sets[0].name()]
    json.dumps(found, allow_nan=False)


def test_every_set_has_its_controls() -> None:
    for one in SETS:
        recommended = one.method in METHODS[one.dataset] and one.epsilon in EPSILONS
        if recommended and one == one.released_by():
            controls = replace(one, dither=0.08), replace(one, grain=GRAINS[one.dataset])
            assert set(controls) <= set(SETS)
    assert "grain" not in JudgedSet("mnist", "mixture").name()
    assert JudgedSet("mnist", "mixture", grain=0.5).name().endswith(", grain 0.5")


def test_every_release_is_that_of_a_run_of_the_campaign() -> None:
    """So that its set, by ``quick``, is in the records."""
    planned = {(r.dataset, r.method, r.epsilon, r.seed) for r in RUNS}
    sets = {one for one in SETS if one.method != REAL and one.epsilon not in BUDGETS}
    assert {(s.dataset, s.method, s.epsilon, s.seed) for s in sets} <= planned


def test_every_plain_set_is_judged_by_quick_here_or_in_a_record() -> None:
    known = {record.config.record_name() for record in committed_records(ROOT / "results")}
    # Runs that the campaign has yet to make will have a record.
    known |= {run.config().record_name() for run in RUNS if run.method in (GRAINED, FRAMED_GRAINED)}
    usual = [one for one in SETS if one.method != REAL and one.epsilon not in BUDGETS]
    for one in usual:
        if one == one.released_by() and one.protocols() == ("deep",):
            records = (
                Run(one.dataset, one.method, one.epsilon, one.seed).config().privacy.num_records
            )
            assert one.record_name({"real_records": records}) in known, one


def test_sets_of_one_release_follow_each_other() -> None:
    """Or it would be made more than once."""
    releases = [one.released_by() for one in SETS if one.method != REAL and not former(one)]
    assert len(list(itertools.groupby(releases))) == len(set(releases))


def test_one_method_of_each_kind_is_judged_at_more_budgets() -> None:
    for dataset, method in BY_BUDGET.items():
        there = {one.epsilon for one in SETS if (one.dataset, one.method) == (dataset, method)}
        assert there == {*EPSILONS, *BUDGETS}
    assert not {*BUDGETS} & {*EPSILONS}
    assert {one.protocols() for one in SETS if one.epsilon in BUDGETS} == {("deep",)}


def former(one: JudgedSet) -> bool:
    return one.curve != usual_curve(one.method)
