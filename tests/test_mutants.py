"""The mutation score counts what it says, and its configuration names files that exist."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from dpgen_core.checks import InvalidArgument
from dpgen_core.mutants import score

ROOT = Path(__file__).parents[1]


def test_score_by_hand() -> None:
    stats = {"killed": 80, "timeout": 5, "survived": 10, "no_tests": 5, "skipped": 7, "total": 107}
    assert score(stats) == pytest.approx(0.85)
    with pytest.raises(InvalidArgument, match="at least one mutant"):
        score({"killed": 0})


def test_what_is_mutated_and_what_must_notice_it_exist() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    for name in (*settings["only_mutate"], *settings["pytest_add_cli_args_test_selection"]):
        assert (ROOT / name).is_file(), name
    mutated = {Path(name).stem for name in settings["only_mutate"]}
    assert {"accounting", "efsgd", "rdp", "calibration", "events", "pld", "streams"} <= mutated
