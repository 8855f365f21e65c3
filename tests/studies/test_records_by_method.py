"""Each method on few records: what is asked for, trained, judged and put beside the campaign's runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_records import make_record

from companion.studies import records_by_method
from companion.studies.records_by_method import (
    COUNTS,
    DATASETS,
    METHODS,
    METRICS,
    Point,
    load_records_by_method,
    main,
    missing,
    points,
    runs,
)
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import ImageData, train_size

FIGURES = dict.fromkeys(METRICS, 0.5)


def test_every_count_is_below_all_records_and_has_a_plan() -> None:
    for name in DATASETS:
        assert max(COUNTS) < train_size(name)
    for point in points():
        config = make_config(
            dataset=point.dataset, method=point.method, num_records=point.num_records
        )
        assert config.privacy.num_shards <= point.num_records


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_trained_on_few_and_judged_by_all(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, judged = records_by_method.load, records_by_method.evaluate
    learned: list[int] = []

    def few(name: str, split: str, **how: Any) -> ImageData:
        return honest(name, split, **({"num_records": 500 if split == "train" else 100} | how))

    def counted(made: ImageData, real: ImageData, *rest: Any, **how: Any) -> Any:
        learned.append(len(real.labels))
        return judged(made, real, *rest, **how)

    monkeypatch.setattr(records_by_method, "load", few)
    monkeypatch.setattr(records_by_method, "evaluate", counted)
    small: dict[str, Any] = {"profile": "smoke", "synthetic_records": 40, "real_records": 40}
    if method != "mixture":
        small |= {"rounds": 2}
    answer = records_by_method.measure(Point("glyphs", method, 300, 10.0, 1), **small)
    assert learned == [500]  # whatever the method had
    assert 0 <= answer["g2r_cnn"] <= 1 and answer["training_seconds"] >= 0
    json.dumps(answer, allow_nan=False)


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_by_method, "measure", lambda point: {"method": point.method})
    records_by_method.run_all(missing(tmp_path)[:2], tmp_path)
    left = missing(tmp_path)
    assert len(left) == len(list(points())) - 2
    assert main(["--results", str(tmp_path)]) == 0 and not missing(tmp_path)
    assert len(load_records_by_method(tmp_path)["points"]) == len(left) + 2


def test_runs_with_all_records_are_the_campaigns(tmp_path: Path) -> None:
    asked = [make_record(tmp_path, method="efsgd", seed=seed, **FIGURES) for seed in (0, 4)]
    asked += [make_record(tmp_path, method="gs-wgan", **FIGURES)]
    asked += [make_record(tmp_path, method="efsgd", epsilon=3.0, **FIGURES)]
    asked += [make_record(tmp_path, method="mixture", settings={"num_records": 3000}, **FIGURES)]
    point = Point("mnist", "efsgd", 1000, 10.0)
    answer = {
        "dataset": "mnist",
        "method": "efsgd",
        "num_records": 1000,
        "epsilon": 10.0,
        "seed": 0,
    }
    table = runs({"points": {point.name(): answer | FIGURES}}, asked)
    assert table["num_records"].tolist() == [
        1000,
        60_000,
    ]  # not another seed, method, budget, count
    assert set(table["method"]) == {"efsgd"}
    assert runs({}, []).empty
