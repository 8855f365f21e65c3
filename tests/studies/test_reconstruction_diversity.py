"""Following the nearest record collapses a class; following the matched one spreads it."""

from __future__ import annotations

import pytest

from companion.studies.reconstruction_diversity import follow_targets
from dpgen_core.checks import InvalidArgument
from dpgen_core.data import sets as data

RECORDS = data.load("glyphs", "train", num_records=600)


def test_nearest_target_collapses_and_matched_target_does_not() -> None:
    _, nearest = follow_targets(RECORDS, target="nearest", images=30, steps=20)
    _, matched = follow_targets(RECORDS, target="matched", images=30, steps=20)
    assert nearest["targets"].iloc[0] < 0.2  # nearly all images want the same record
    assert matched["targets"].iloc[0] > 2 * nearest["targets"].iloc[0]
    assert matched["spread"].iloc[-1] > 2 * nearest["spread"].iloc[-1]
    assert nearest["spread"].iloc[0] == pytest.approx(0.1, rel=0.1)


def test_targets_of_many_owners_average_out() -> None:
    """A round follows a mean over owners with few records each, which lies near the class mean."""
    _, one = follow_targets(RECORDS, target="matched", images=20, steps=10)
    _, many = follow_targets(RECORDS, target="matched", owners=30, images=20, steps=10)
    assert many["spread"].iloc[-1] < 0.6 * one["spread"].iloc[-1]
    _, moments = follow_targets(RECORDS, target="moments", owners=30, images=20, steps=10)
    assert moments["spread"].iloc[-1] > one["spread"].iloc[-1]


def test_images_come_class_by_class() -> None:
    made, _ = follow_targets(RECORDS, target="matched", images=5, steps=2)
    assert made.shape == (50, 1, 28, 28)
    assert 0 <= float(made.min()) <= float(made.max()) <= 1


def test_unknown_target_is_named() -> None:
    with pytest.raises(InvalidArgument, match="target: received 'mean'"):
        follow_targets(RECORDS, target="mean")
