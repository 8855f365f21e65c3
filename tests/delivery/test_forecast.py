"""The forecast: what grows with the records is drawn out, what does not is counted once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpgen_core.config.make import make_config
from dpgen_core.data.folders import Listing
from dpgen_core.delivery import forecast as made
from dpgen_core.delivery.survey import Survey


@pytest.mark.parametrize("records", [60, 500, 1200, 2000, 30_000])
def test_a_straight_line_is_drawn_out_and_its_start_counts_once(records: int) -> None:
    asked: list[int] = []

    def seconds(count: int) -> float:
        asked.append(count)
        first = 40.0 if len(asked) == 1 else 0.0  # what is loaded once
        return 3.0 + 0.01 * count + first

    assert made._drawn_out(seconds, records) == pytest.approx(3.0 + 0.01 * records)
    assert max(asked) <= 2000


def test_noise_in_the_clock_makes_no_time_negative() -> None:
    times = iter([9.0, 2.0, 1.9])
    assert made._drawn_out(lambda count: next(times), 30_000) == 1.9


@pytest.mark.parametrize("method", ["gaussian", "efsgd", "efsgd-prior", "dp-sgd-critic"])
def test_every_kind_of_learner_is_rehearsed(method: str) -> None:
    how = {"profile": "smoke", "num_records": 800, "dataset": "glyphs", "method": method}
    config = make_config(**how)  # type: ignore[arg-type]
    assert 0 < made._learn(config, 500) < 60
    assert 0 < made._make(config) < 60


def test_seconds_are_told_as_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(dataset="glyphs", method="gaussian", profile="smoke", num_records=800)
    files = tuple((Path(f"{number}.png"), 0) for number in range(800))
    survey = Survey(Listing(Path(), ("a", "b"), files, {}), {}, {}, seconds=0.001)
    for name in ("_make", "_judge"):
        monkeypatch.setattr(made, name, lambda config: 1.0)
    for learned, told in ((10.0, "about 18 s"), (1000.0, "about 17 min")):
        monkeypatch.setattr(made, "_learn", lambda config, records, seconds=learned: seconds)
        assert told in made.forecast(config, survey)


def test_judges_are_timed_on_whole_batches_however_few_records_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        made, "train_classifier", lambda images, labels, **how: seen.append(len(labels))
    )
    how = {"profile": "smoke", "num_records": 20, "dataset": "glyphs", "method": "gaussian"}
    made._judge(make_config(**how))  # type: ignore[arg-type]
    assert seen == [10, 10, 500, 500]
