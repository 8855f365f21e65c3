"""Nothing but the releases leaves the private side: checks of the real code, and faults they notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from companion.studies.release_checks import CHECKS, KEYS, METHODS, small_config, wrong_streams
from companion.studies.release_faults import FAULTS
from dpgen_core.experiment import run_experiment
from dpgen_core.streams import recorded_streams
from dpgen_core.training import workspace


@pytest.mark.parametrize("name", CHECKS)
def test_the_code_as_it_is_passes(name: str) -> None:
    finding = CHECKS[name]()
    assert finding.passed, finding


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed(fault: str) -> None:
    planted, check = FAULTS[fault]
    with planted():
        finding = CHECKS[check]()
    assert not finding.passed, finding


@pytest.mark.parametrize("method", [*METHODS, "gaussian", "mixture"])
def test_a_whole_secret_run_opens_every_hidden_stream_once(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "secret_key", lambda *_: KEYS[0])
    with recorded_streams() as opened:
        run_experiment(small_config(method), results_dir=tmp_path, progress=False, device="cpu")
    assert wrong_streams(opened, KEYS[0]) == []
    assert {kind for kind, _, _ in opened} == {"hidden", "stream"}
