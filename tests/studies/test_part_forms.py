"""Other forms of the paper's parts: every form runs, equal runs are made once, and pairs are compared."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from companion.studies import part_forms
from companion.studies.part_forms import (
    DATASETS,
    FORMS,
    NONE,
    SCREEN,
    SEEDS,
    TESTED,
    Point,
    load_part_forms,
    main,
    missing,
    points,
    runs,
)
from dpgen_core.config.make import make_config

ROW = {
    **{"g2r_cnn": 0.8, "g2r_mlp": 0.7, "real_cnn": 0.9, "frechet_distance": 20.0},
    **{"precision": 0.5, "recall": 0.1, "sharpness": 0.02, "sharpness_real": 0.04},
    "training_seconds": 200.0,
}


def test_it_goes_on_where_it_stopped_and_makes_equal_runs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Point] = []
    few = [p for p in points() if (p.dataset, p.seed) == SCREEN]

    def measure(point: Point) -> dict[str, Any]:
        made.append(point)
        return {"form": point.form} | ROW

    monkeypatch.setattr(part_forms, "points", lambda: iter(few))
    monkeypatch.setattr(part_forms, "measure", measure)
    part_forms.run_all(missing(tmp_path)[:2], tmp_path)
    assert len(missing(tmp_path)) == len(few) - 2
    assert main(["--results", str(tmp_path)]) == 0 and not missing(tmp_path)
    assert len(made) == len(few) - 1  # two parts have the preset among their forms
    found = load_part_forms(tmp_path)["points"]
    twin = found[Point("noise injection", "pixel", *SCREEN).name()]
    assert (twin["part"], twin["form"]) == ("noise injection", "pixel")


@pytest.mark.parametrize("form", FORMS["reconstruction"])
def test_every_form_is_trained_and_judged(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = part_forms.load

    def few(name: str, split: str, **how: Any) -> Any:
        return honest(name, split, **({"num_records": 100} | how))

    monkeypatch.setattr(part_forms, "load", few)
    small: dict[str, Any] = {"profile": "smoke", "num_records": 300, "rounds": 2}
    small |= {"synthetic_records": 40, "real_records": 40}
    answer = part_forms.measure(Point("reconstruction", form, "glyphs"), **small)
    assert 0 <= answer["g2r_cnn"] <= 1 and answer["training_seconds"] >= 0
    json.dumps(answer, allow_nan=False)


def test_every_form_is_legal_and_has_none_of_the_part_beside_it() -> None:
    there = list(points())
    assert len(there) == len(set(there))
    for point in there:
        assert Point(point.part, NONE, point.dataset, point.seed) in there
        if point.seed == 0:
            make_config(**point.settings() | {"dataset": "glyphs", "num_records": 30_000})
    for part, forms in FORMS.items():
        assert {p.form for p in there if p.part == part and (p.dataset, p.seed) == SCREEN} == set(
            forms
        )
    for part, tested in TESTED.items():
        for dataset, seed in itertools.product(DATASETS, SEEDS):
            assert {Point(part, form, dataset, seed) for form in tested} <= set(there)
    settings = {
        (part, json.dumps(values, sort_keys=True))
        for part, forms in FORMS.items()
        for values in forms.values()
    }
    assert len(settings) == sum(map(len, FORMS.values()))


def test_rows_are_ready_to_be_compared() -> None:
    point = Point("reconstruction", "assigned", "mnist", 3)
    found = {"part": point.part, "form": point.form, "dataset": point.dataset, "seed": point.seed}
    frame = runs({"points": {point.name(): found | ROW}})
    (row,) = frame.to_dict("records")
    assert (row["method"], row["target_epsilon"], row["seed"]) == (
        "reconstruction: assigned",
        10.0,
        3,
    )
    assert row["g2r_cnn"] == pytest.approx(80) and row["detail"] == pytest.approx(50)
    assert runs({}).empty
