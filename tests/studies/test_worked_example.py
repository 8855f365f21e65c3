"""The worked example: every step goes the command's way, on a few drawn digits in place of X-rays."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from companion.studies import worked_example
from companion.studies.worked_example import (
    EPSILONS,
    KINDS,
    SHOWN,
    TITLE,
    Step,
    by_class,
    load_worked_example,
    main,
    means,
    missing,
    recommended,
    shown_images,
    steps,
)
from dpgen_core.config.presets import RECOMMENDED
from dpgen_core.data.sets import ImageData, load
from dpgen_core.delivery import synthesize

PRIVATE, REAL = Step("scans", 3.0), Step(None, None)


class Always:
    """A classifier that knows one class alone."""

    def __init__(self, label: int, classes: int) -> None:
        self.answer = torch.nn.functional.one_hot(torch.tensor(label), classes).float()

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self.answer.expand(len(images), -1)


def test_every_step_goes_the_commands_way_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(name: str, split: str, **how: Any) -> ImageData:
        digits = load("glyphs", split, num_records=120)
        two = digits.at((digits.labels < 2).nonzero()[:, 0])
        return ImageData(name, two.images, two.labels, ("zero", "one"))

    for name, value in {"load": few, "PER_CLASS": 40, "EPOCHS": 2}.items():
        monkeypatch.setattr(worked_example, name, value)
    monkeypatch.setattr(worked_example, "synthesize", partial(synthesize, count=40))
    monkeypatch.setattr(worked_example, "machine_cache", lambda: tmp_path / "judges")
    monkeypatch.setattr(worked_example, "steps", lambda: iter((REAL, PRIVATE)))
    worked_example.run_all(missing(tmp_path)[:1], tmp_path)
    assert missing(tmp_path) == [PRIVATE] and not (tmp_path / worked_example.SHEET_FILE).exists()
    assert main(["--results", str(tmp_path)]) == 0 and not missing(tmp_path)
    found = load_worked_example(tmp_path)
    json.dumps(found, allow_nan=False)
    row = recommended(found)
    assert row["method"] == RECOMMENDED["scans"][0] and 0 < row["spent"] <= 3
    assert row["statement"].startswith(f"# Privacy statement: {TITLE}\n")
    assert any("hopeless" in line or "few" in line for line in row["said"])
    assert not any("forecast" in line or str(tmp_path) in line for line in row["said"])
    for name in ("accuracy", "accuracy of zero", "accuracy of one"):
        assert 0 <= row[name] <= 1 and 0 <= found["steps"][REAL.name()][name] <= 1
    sheet = tmp_path / worked_example.SHEET_FILE
    assert shown_images(sheet, PRIVATE).shape == (2 * SHOWN, 28, 28)
    assert shown_images(sheet, PRIVATE).std() > 0
    other = Step("drawings", 1.0)
    assert shown_images(sheet, other).min() == 255  # not made yet
    worked_example._keep(sheet, other, np.zeros((2 * SHOWN, 28, 28), np.uint8))
    assert shown_images(sheet, other).max() == 0 and shown_images(sheet, PRIVATE).std() > 0


def test_classes_are_told_apart() -> None:
    images, labels = torch.zeros(10, 1, 4, 4), torch.tensor([0] * 7 + [1] * 3)
    test = ImageData("made", images, labels, ("normal", "ill"))
    assert by_class(Always(0, 2), test) == {  # type: ignore[arg-type]
        "accuracy": pytest.approx(0.7),
        "accuracy of normal": 1.0,
        "accuracy of ill": 0.0,
    }


def test_every_kind_and_budget_is_there_beside_the_real_images() -> None:
    there = set(steps())
    assert {(s.kind, s.epsilon) for s in there} == {
        (None, None),
        *((kind, epsilon) for kind in KINDS for epsilon in EPSILONS),
    }
    assert len(there) == 3 * 7


def test_means_are_over_repeats() -> None:
    rows = {
        step.name(): {"kind": step.kind, "epsilon": step.epsilon, "repeat": step.repeat}
        | {"accuracy": 0.8 + 0.1 * step.repeat, "method": "gaussian", "said": ["a"]}
        for step in (PRIVATE, Step("scans", 3.0, repeat=1))
    }
    (row,) = means({"steps": rows}).to_dict("records")
    assert (row["n"], row["accuracy"]) == (2, pytest.approx(0.85))
    assert means({}).empty
