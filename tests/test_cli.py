"""The command line: what a user types is what is run, and a bad setting is one line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dpgen_core import cli, experiment
from dpgen_core.config.schema import ExperimentConfig


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ExperimentConfig, Path]]:
    """Runs that would have been started."""
    seen: list[tuple[ExperimentConfig, Path]] = []

    def run(config: ExperimentConfig, *, results_dir: Path, **_: Any) -> SimpleNamespace:
        seen.append((config, results_dir))
        return SimpleNamespace(path=results_dir / config.record_name())

    monkeypatch.setattr(experiment, "run_experiment", run)
    return seen


def test_command_line_names_the_run(
    started: list[tuple[ExperimentConfig, Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--dataset", "glyphs", "--profile", "smoke", "--epsilon", "3", "--seed", "4"]
    assert cli.main(["run", *words, "--results", str(tmp_path)]) == 0
    ((config, results),) = started
    assert (config.dataset, config.privacy.epsilon, config.seed, results) == (
        "glyphs",
        3.0,
        4,
        tmp_path,
    )
    assert capsys.readouterr().out.split() == [str(tmp_path / config.record_name())]


def test_a_bad_setting_is_one_line_and_runs_nothing(
    started: list[tuple[ExperimentConfig, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--dataset", "glyphs", "--epsilon", "-1"]) == 2
    assert not started
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and "epsilon" in shown.err
