"""Records that lie unevenly: what owners hold, what is rare, and what is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from companion.studies import uneven_data
from companion.studies.uneven_data import (
    CASES,
    METHODS,
    RARE_SHARE,
    Point,
    load_uneven_data,
    main,
    missing,
    points,
    rare_class,
    runs,
    skewed_owners,
    watched,
)
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.metrics import EvaluationSettings
from dpgen_core.training.owners import assign_shards

SHARDS, SEED = 61, 3  # shards that leave some records out


def classes_held(data: ImageData) -> float:
    """How many classes a shard holds, on average."""
    shards = assign_shards(len(data.labels), SHARDS, seed=SEED)
    return sum(len(data.labels[rows].unique()) for rows in shards) / SHARDS


def test_owners_hold_few_classes_of_the_same_records(tiny_glyphs: ImageData) -> None:
    skewed = skewed_owners(tiny_glyphs, num_shards=SHARDS, seed=SEED)
    assert classes_held(skewed) < 0.5 * classes_held(tiny_glyphs)
    pictures = [
        sorted((*pixels.flatten().tolist(), label) for pixels, label in zip(*both, strict=True))
        for both in ((d.images, d.labels.tolist()) for d in (skewed, tiny_glyphs))
    ]
    assert pictures[0] == pictures[1]
    again = skewed_owners(tiny_glyphs, num_shards=SHARDS, seed=SEED)
    assert torch.equal(again.images, skewed.images)


def test_one_class_is_rare_and_the_others_are_whole(tiny_glyphs: ImageData) -> None:
    thinned = rare_class(tiny_glyphs, num_shards=SHARDS, seed=SEED)
    before, after = (torch.bincount(d.labels, minlength=10) for d in (tiny_glyphs, thinned))
    rare = watched(SEED, 10)
    assert int(after[rare]) == round(RARE_SHARE * len(thinned.labels)) > 0
    others = torch.arange(10) != rare
    assert torch.equal(after[others], before[others])


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_trained_and_judged(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small: dict[str, Any] = {"profile": "smoke", "num_records": 400, "rounds": 2}
    small |= {"synthetic_records": 40, "real_records": 40}
    honest = uneven_data.load

    def few(name: str, split: str, **how: Any) -> ImageData:
        return honest(name, split, **({"num_records": 100} | how))

    monkeypatch.setattr(uneven_data, "load", few)
    answer = uneven_data.measure(Point(case, METHODS[1], "glyphs", seed=1), **small)
    assert answer["watched"] == 1 and answer["training_seconds"] >= 0
    assert all(0 <= answer[name] <= 1 for name in ("g2r_cnn", "g2r_watched", "recall_watched"))
    json.dumps(answer, allow_nan=False)


def test_the_watched_class_alone_decides_its_figures(tiny_glyphs: ImageData) -> None:
    """Samples that are the records, but for two classes whose labels are exchanged."""
    settings = EvaluationSettings(classifier_epochs=5)
    exchanged = torch.tensor([0, 1, 7, 3, 4, 5, 6, 2, 8, 9])[tiny_glyphs.labels]
    made = ImageData("made", tiny_glyphs.images, exchanged, tiny_glyphs.class_names)
    by_seed = [
        uneven_data.judged(made, tiny_glyphs, tiny_glyphs, settings, seed=seed) for seed in (2, 3)
    ]
    assert [found["watched"] for found in by_seed] == [2, 3]
    assert by_seed[0]["g2r_watched"] < 0.2 < 0.6 < by_seed[1]["g2r_watched"]
    assert by_seed[0]["recall_watched"] < 0.2 < 0.9 < by_seed[1]["recall_watched"]


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uneven_data, "measure", lambda point: {"case": point.case})
    uneven_data.run_all(missing(tmp_path)[:2], tmp_path)
    left = missing(tmp_path)
    assert len(left) == len(list(points())) - 2
    assert main(["--results", str(tmp_path)]) == 0 and not missing(tmp_path)
    assert len(load_uneven_data(tmp_path)["points"]) == len(left) + 2


def test_rows_are_ready_to_be_compared() -> None:
    point = Point("rare class", METHODS[0], "mnist", 3)
    figures = {"g2r_cnn": 0.8, "g2r_watched": 0.5, "recall": 0.1, "recall_watched": 0.0}
    about = {"case": point.case, "method": point.method, "dataset": "mnist", "seed": 3}
    (row,) = runs({"points": {point.name(): about | figures}}).to_dict("records")
    assert row["method"] == "rare class: efsgd" and row["g2r_watched"] == pytest.approx(50)
    assert runs({}).empty
