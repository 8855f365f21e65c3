"""The strip of trials, the bars of epsilon and the histograms of cosines hold what they are given."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_records import make_record

from companion.book.clip_cosines import clip_cosines, cosine_alt, cosine_histogram
from companion.book.epsilon_bars import epsilon_alt, epsilon_bars
from companion.book.tuning_strip import tuning_alt, tuning_strip
from companion.studies.committed import committed_records
from companion.studies.settings_search import TUNING_FILE
from dpgen_core.checks import InvalidArgument


def test_every_trial_is_a_mark_in_the_row_of_its_budget(tmp_path: Path) -> None:
    rows = [
        ("efsgd", 10.0, "{}", 0.84),
        ("efsgd", 10.0, '{"rounds": 600}', 0.9),
        ("efsgd", 1e6, "{}", 0.87),
        ("gaussian", 1.0, '{"dataset": "celeba"}', 0.75),
    ]
    columns = ["method", "epsilon", "overrides", "g2r"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / TUNING_FILE, index=False)
    axes = tuning_strip(tmp_path).axes[0]
    marks = [tuple(place) for strip in axes.collections for place in strip.get_offsets().tolist()]
    assert sorted(round(x) for x, _ in marks) == [75, 84, 87, 90]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == [
        "efsgd, epsilon 10 (2)",
        "efsgd, almost no noise (1)",
        "gaussian, epsilon 1 (1)",
    ]
    assert all(abs(y - round(y)) < 0.3 for _, y in marks)
    assert "efsgd at epsilon 10, reaches from 84.0 to 90.0 %." in tuning_alt(tmp_path)


def test_bars_show_their_values() -> None:
    values = {"as published": 10.0, "recomputed": 345.2}
    axes = epsilon_bars(values).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [10.0, 345.2]
    assert axes.get_xscale() == "log" and axes.get_xlim()[0] == 1.0
    assert epsilon_alt(values).endswith("as published 10.0; recomputed 345.2.")
    for bad in ({}, {"nothing": 0.0}):
        with pytest.raises(InvalidArgument, match="epsilons"):
            epsilon_bars(bad)


def test_runs_are_split_by_memory_and_a_critic_has_none(tmp_path: Path) -> None:
    for method, cosine in (
        ("efsgd", 0.9),
        ("efsgd/no-error-feedback", 0.999),
        ("dp-sgd-critic", 0.5),
    ):
        record = make_record(tmp_path, method=method)
        record.diagnostics.assign(clip_cosine=cosine).to_csv(
            record.path / "diagnostics.csv", index=False
        )
    cosines = clip_cosines(committed_records(tmp_path))
    assert cosines == {False: [0.999], True: [0.9]}
    off, on = cosine_histogram(cosines).axes
    for axes, bias in ((off, 0.001), (on, 0.1)):
        (bar,) = [bar for bar in axes.patches if bar.get_height()]
        assert bar.get_x() * 0.999 <= bias <= (bar.get_x() + bar.get_width()) * 1.001
    assert "1 runs around a cosine of 0.9990" in cosine_alt(cosines)
    assert len(cosine_histogram({False: [], True: []}).axes) == 2
