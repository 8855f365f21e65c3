"""The mutation score counts correctly, and its configuration names files that exist."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from companion.studies.mutants import (
    ARGUED,
    GOAL,
    MUTANTS_FILE,
    function_of,
    score,
    score_line,
    survivor_table,
)
from dpgen_core.checks import InvalidArgument

ROOT = Path(__file__).parents[2]


def test_score_by_hand() -> None:
    stats = {"killed": 80, "timeout": 5, "survived": 10, "no_tests": 5, "skipped": 7, "total": 107}
    assert score(stats) == pytest.approx(0.85)
    with pytest.raises(InvalidArgument, match="at least one mutant"):
        score({"killed": 0})


def test_the_line_names_the_commit_of_the_score() -> None:
    outcome = {"score": 0.9, "stats": {"killed": 8, "timeout": 1, "survived": 1}, "survivors": "x"}
    line = score_line(outcome | {"commit": "abc1234"})
    assert "90.0%** of 10 mutants" in line and "Measured at commit `abc1234`." in line
    assert "did not note its commit" in score_line(outcome)


def test_what_is_mutated_and_what_must_notice_it_exist() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    for name in (*settings["only_mutate"], *settings["pytest_add_cli_args_test_selection"]):
        assert (ROOT / name).exists(), name
    mutated = {Path(name).stem for name in settings["only_mutate"]}
    assert {"ledger", "clipping", "error_memory", "efsgd", "release", "streams"} <= mutated
    assert {"rdp", "calibration", "events", "pld"} <= mutated


def test_committed_score_reaches_the_goal_and_every_survivor_is_argued() -> None:
    outcome = json.loads((ROOT / "results" / MUTANTS_FILE).read_text())
    assert outcome["score"] == pytest.approx(score(outcome["stats"]), abs=1e-4)
    assert outcome["score"] >= GOAL
    assert len(outcome["survivors"]) == outcome["stats"]["survived"]
    assert {function_of(name) for name in outcome["survivors"]} == set(ARGUED)
    table = survivor_table(outcome)
    assert table["survivors"].sum() == len(outcome["survivors"])


def test_a_survivor_without_an_argument_is_shown_as_such() -> None:
    table = survivor_table(
        {"survivors": {"dpgen_core.accounting.rdp.x_new_function__mutmut_3": []}}
    )
    assert table.loc["rdp.new_function", "why"] == "not argued"
