"""Clipping bias among owners: the memory repairs what it can and no more."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_records import make_record

from companion.studies.committed import committed_records
from companion.studies.owner_clipping_bias import (
    SETTINGS,
    owners_over_time,
    recorded_bias,
    setting_bias,
)
from dpgen_core.checks import InvalidArgument


def test_an_owner_memory_helps_only_owners_that_take_turns() -> None:
    def last(vary: str, decay: float) -> float:
        return float(owners_over_time(vary, decay=decay).iloc[-1])

    assert last("over time", 1.0) < 0.2 * last("over time", 0.0)
    always = last("between owners", 0.0)
    assert always > 0.005
    assert last("between owners", 1.0) == pytest.approx(always, rel=0.01)


def test_every_setting_is_measured_and_the_joint_clip_keeps_the_direction() -> None:
    measured = {name: setting_bias(name, rounds=2) for name in SETTINGS}
    for name, bias in measured.items():
        assert 0.5 < bias.cosine <= 1.0 + 1e-6, name
        assert bias.clipped_share > 0.5, name  # otherwise there is nothing to measure
    joint = measured["WGAN-GP critic, joint clip"]
    images = measured["WGAN-GP critic, per-image clip"]
    assert joint.cosine > images.cosine and joint.norm_spread < images.norm_spread
    with pytest.raises(InvalidArgument, match="setting"):
        setting_bias("SGD")


def test_records_without_rounds_are_left_out() -> None:
    assert recorded_bias([]).empty


@pytest.mark.parametrize(
    "method, memory",
    [
        ("efsgd", "on"),
        ("efsgd/no-error-feedback", "off"),
        ("dp-sgd-critic", "none"),
        ("efsgd-critic", "on, the server's"),
        ("efsgd-critic/no-error-feedback", "off"),
    ],
)
def test_the_table_says_whose_memory_it_is(tmp_path: Path, method: str, memory: str) -> None:
    record = make_record(tmp_path, method=method)
    logged = {"clip_cosine": [0.9], "norm_spread": [0.1], "clipped_share": [1.0]}
    pd.DataFrame(logged).to_csv(record.path / "diagnostics.csv", index=False)
    assert recorded_bias(committed_records(tmp_path))["memory"].tolist() == [memory]
