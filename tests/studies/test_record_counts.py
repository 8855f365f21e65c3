"""Accuracy against N: it goes on where it stopped, and the rule is found again in made figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_record_counts import RULE, made

from companion.studies import record_counts
from companion.studies.committed import project_root
from companion.studies.record_counts import (
    KINDS,
    Point,
    fitted,
    load_record_counts,
    main,
    missing,
    shares,
)
from dpgen_core.checks import InvalidArgument
from dpgen_core.data.sets import load
from dpgen_core.delivery.survey import LIMITS


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = (Point("glyphs", 300, 3.0), Point("glyphs", 300, None))
    monkeypatch.setattr(record_counts, "points", lambda: iter(both))
    monkeypatch.setattr(record_counts, "SYNTHETIC", 200)
    monkeypatch.setattr(record_counts, "EPOCHS", 2)

    def few(name: str, split: str, **options: Any) -> Any:
        return load(name, split, **({"num_records": 100} | options))

    monkeypatch.setattr(record_counts, "load", few)
    record_counts.run_all(missing(tmp_path)[:1], tmp_path)
    assert missing(tmp_path) == [both[1]]
    assert main(["--results", str(tmp_path)]) == 0 and not missing(tmp_path)
    found = load_record_counts(tmp_path)["points"]
    private, real = (found[point.name()] for point in both)
    assert private["method"] == "mixture" and private["mean_noise"] > 0
    assert "mean_noise" not in real
    assert 0.1 < private["accuracy"] <= 1 and 0.1 < real["accuracy"] <= 1
    json.dumps(found, allow_nan=False)


def test_every_budget_has_the_records_themselves_beside_it() -> None:
    there = set(record_counts.points())
    for point in there:
        assert Point(point.dataset, point.num_records, None, point.seed) in there
    assert {point.dataset for point in there} == set(record_counts.KINDS)


def test_shares_start_at_chance_and_end_at_the_most_records() -> None:
    rows = shares(made()).set_index(["dataset", "num_records"])
    for dataset in ("mnist", "celeba"):
        for num_records, noise in ((500, 1.2), (50_000, 0.05)):
            assert rows.loc[(dataset, num_records), "share"] == pytest.approx(RULE.share(noise))


def test_the_rule_is_found_again() -> None:
    for dataset in ("mnist", "celeba"):
        rule = fitted(made(), dataset)
        assert rule == pytest.approx(RULE, rel=1e-3)
        assert rule.share(rule.noise(0.8)) == pytest.approx(0.8)
    with pytest.raises(InvalidArgument, match="three measured releases"):
        fitted({}, "mnist")


@pytest.mark.parametrize("dataset", KINDS)
def test_the_command_warns_where_the_measured_rule_says(dataset: str) -> None:
    """`survey` holds the limits; this holds them to the committed record."""
    found = load_record_counts(project_root(Path(__file__).parent) / "results")
    rule, limits = fitted(found, dataset), LIMITS[KINDS[dataset]]
    assert rule.share(limits.few) == pytest.approx(0.8, abs=0.05)
    assert rule.share(limits.hopeless) == pytest.approx(0.5, abs=0.05)
