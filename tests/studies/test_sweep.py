"""Several runs at a time: all of them, each once, and a failure does not stop the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from companion.studies import sweep
from companion.studies.sweep import main, run_all
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.records.record import load_records


def small(method: str, seed: int) -> ExperimentConfig:
    return make_config(
        dataset="glyphs",
        method=method,
        profile="smoke",
        seed=seed,
        num_records=200,
        synthetic_records=40,
        real_records=40,
    )


def test_every_missing_run_is_made_and_a_failure_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, good = small("gaussian", 0), small("mixture", 1)
    assert run_all([there], results_dir=tmp_path, processes=1) == {}
    made = (tmp_path / there.record_name() / "metrics.json").stat().st_mtime_ns
    bad = small("gaussian", 2).replace(num_records=10**9, delta=1e-12)
    failed = run_all([there, bad, good, good], results_dir=tmp_path, processes=2)
    assert list(failed) == [bad.record_name()] and "InvalidArgument" in failed[bad.record_name()]
    names = {record.path.name for record in load_records(tmp_path)}
    assert names == {there.record_name(), good.record_name()}
    assert (tmp_path / there.record_name() / "metrics.json").stat().st_mtime_ns == made
    said = capsys.readouterr()
    assert f"{good.record_name()}: done" in said.out + said.err
    assert "2/2" in said.err  # one bar, for those that were left


def test_bad_settings_are_named_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert main(["--epsilon", "1", "-3", "--dataset", "glyphs", "--results", str(results)]) == 2
    assert "epsilon: received -3" in capsys.readouterr().err
    with pytest.raises(InvalidArgument, match="processes: received 0"):
        run_all([], results_dir=results, processes=0)
    assert not results.exists()


def test_remaining_minutes_follow_the_pace_so_far() -> None:
    # Two of six equal runs are done and two are half done, in twice the time that was forecast.
    assert sweep._minutes_left([1.0] * 4, 6.0, 6.0, 2) == pytest.approx(6.0)
    assert sweep._minutes_left([1.0] * 4, 6.0, 3.0, 2) == pytest.approx(3.0)
    # Nothing with a forecast has run.
    assert sweep._minutes_left([0.0, 0.0, 4.0], 4.0, 3.0, 2) == 4.0
