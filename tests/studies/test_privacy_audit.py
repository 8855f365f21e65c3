"""The audit's verdict: a fault that is not caught and an alarm without a fault both count."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from companion.studies import privacy_audit
from companion.studies.planted_faults import FAULTS
from companion.studies.release_faults import FAULTS as RELEASE_FAULTS
from companion.studies.training_checks import CHECKS

MECHANISM = {
    "claimed_epsilon": 10.0,
    "threshold_epsilon": 6.0,
    "epsilon": 9.2,
    "delta_at_claim": 1e-7,
    "violated": False,
}
MEMBERSHIP = {
    "epsilon": 10.0,
    "auc": 0.5,
    "auc_low": 0.48,
    "auc_high": 0.52,
    "pairs": 100,
    "pairs_right": 51,
    "pairs_epsilon": 0.0,
    "outliers": 10,
    "outliers_right": 5,
    "outliers_epsilon": 0.0,
    "copying_p_value": 0.4,
}


def finding(check: str, passed: bool) -> dict[str, Any]:
    return {"check": check, "value": "1", "allowed": "1", "passed": passed}


@pytest.fixture
def outcome() -> dict[str, Any]:
    faults = {
        fault: [finding(check, fault == "none" or index > 0) for index, check in enumerate(CHECKS)]
        for fault in FAULTS
    }
    copied = MEMBERSHIP | {"auc": 0.7, "auc_low": 0.65, "pairs_right": 70}
    return {
        "mechanism": {"Poisson-sampled shards (ours)": MECHANISM, "one drawn": MECHANISM},
        "faults": faults,
        "release_faults": {
            fault: [finding("streams", fault == "none")] for fault in ("none", *RELEASE_FAULTS)
        },
        "membership": {"gaussian": MEMBERSHIP, "a generator that copies": copied},
    }


def test_a_good_outcome_has_no_failures(outcome: dict[str, Any]) -> None:
    assert privacy_audit.failures(outcome) == []


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("mechanism", "Poisson-sampled shards (ours)", "violated"), True, "ours.*violated"),
        (("faults", "noise halved", 0, "passed"), True, "noise halved: not caught"),
        (("faults", "none", 1, "passed"), False, "none: alarm without a fault"),
        (("membership", "gaussian", "auc_low"), 0.51, "gaussian: members are found"),
        (("membership", "a generator that copies", "auc_low"), 0.4, "copies: not caught"),
    ],
)
def test_what_is_wrong_is_named(
    outcome: dict[str, Any], path: tuple[str | int, ...], value: object, message: str
) -> None:
    changed = copy.deepcopy(outcome)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    (wrong,) = privacy_audit.failures(changed)
    assert re.search(message, wrong)


def test_a_violated_claim_of_others_is_no_failure_of_ours(outcome: dict[str, Any]) -> None:
    outcome["mechanism"]["one drawn"] = MECHANISM | {"violated": True}
    assert privacy_audit.failures(outcome) == []


def test_tables_show_every_row(outcome: dict[str, Any]) -> None:
    assert list(privacy_audit.mechanism_table(outcome)["claim violated"]) == ["no", "no"]
    table = privacy_audit.fault_table(outcome)
    assert table.shape == (len(FAULTS), len(CHECKS))
    assert (table.loc["none"] == "passed").all()
    assert table.loc["clip removed"].tolist().count("CAUGHT") == 1
    assert list(privacy_audit.finding_table(outcome).index) == list(CHECKS)
    assert privacy_audit.membership_table(outcome).loc["gaussian", "pairs right"] == "51 of 100"


def test_a_failing_audit_exits_with_one_and_quick_notes_nothing(
    outcome: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(privacy_audit, "project_root", lambda: tmp_path)
    monkeypatch.setattr(privacy_audit, "run_audit", lambda quick: outcome)
    assert privacy_audit.main(["--quick"]) == 0
    assert not list((tmp_path / "results").iterdir())
    outcome["faults"]["clip removed"] = [finding(check, True) for check in CHECKS]
    assert privacy_audit.main([]) == 1
    assert "clip removed: not caught" in capsys.readouterr().out
    assert json.loads((tmp_path / "results" / privacy_audit.AUDIT_FILE).read_text()) == outcome
    assert privacy_audit.load_audit(tmp_path / "results") == outcome
