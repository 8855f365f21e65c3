"""The search for settings: held-out records only, and a table of all that was run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from companion.studies import settings_search
from companion.studies.search_space import NEXT_TO_NO_NOISE, TRIALS
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import load

ROOT = Path(__file__).parents[2]


def _key(method: str, epsilon: float, overrides: dict) -> tuple[str, float, str]:
    return method, float(epsilon), json.dumps(overrides, sort_keys=True)


def test_every_committed_trial_is_listed_and_none_twice() -> None:
    table = pd.read_csv(ROOT / "results" / settings_search.TUNING_FILE)
    rows = [
        _key(m, e, json.loads(o))
        for m, e, o in table[["method", "epsilon", "overrides"]].to_numpy()
    ]
    listed = {_key(m, e, dict(o)) for m, e, o in TRIALS}
    assert len(set(rows)) == len(rows) and set(rows) <= listed
    assert len(listed) == len(TRIALS)


def test_trials_are_legal_settings() -> None:
    for method, epsilon, overrides in TRIALS:
        if epsilon < NEXT_TO_NO_NOISE:
            on = {"dataset": "glyphs", "num_records": 5_000, **overrides}
            make_config(**on, method=method, epsilon=epsilon)


def test_judging_records_are_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def only_train(name: str, part: str):
        asked.append(part)
        return load("glyphs", part, num_records=120)

    monkeypatch.setattr(settings_search.data, "load", only_train)
    train, judged = settings_search.split()
    assert asked == ["train"]
    assert (len(train.images), len(judged.images)) == (100, 20)
    seen = {image.numpy().tobytes() for image in train.images}
    assert not seen & {image.numpy().tobytes() for image in judged.images}
