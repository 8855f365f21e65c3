"""`make verify`: a sound record passes; a planted edit of each kind is caught."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_records import make_record
from small_runs import run, small

from companion.studies import verify
from companion.studies.committed import committed_records
from companion.studies.record_checks import Check, ledger_checks
from dpgen_core.checks import InvalidArgument
from dpgen_core.records.record import Record

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("verify")  # one run serves several tests


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one run of a second that has rounds and a prior."""
    results = tmp_path_factory.mktemp("results")
    run(small(method="efsgd-prior"), results)
    return results


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Record:
    (path,) = (p for p in sound.iterdir() if not p.name.startswith("."))
    return Record(Path(shutil.copytree(path, tmp_path / "results" / path.name)))


def edited(record: Record, name: str, change: Callable[[dict[str, Any]], None]) -> Record:
    path = record.path / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return Record(record.path)


def failing(record: Record) -> list[str]:
    return [check.what for check in ledger_checks(record) if not check.agrees]


def test_a_sound_record_agrees_and_repeats(
    copied: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(copied) == []
    assert verify.main([str(copied.path), "--results", str(copied.path.parent)]) == 0
    shown = capsys.readouterr().out
    assert "epsilon (PLD)" in shown and "Run again here" in shown and "g2r_cnn" in shown
    assert "same bits" in shown and "everything checked agrees" in shown


def set_epsilon(privacy: dict[str, Any]) -> None:
    privacy["epsilon"]["pld"] *= 0.99


def set_rounds(privacy: dict[str, Any]) -> None:
    privacy["ledger"]["events"][-1]["count"] -= 1


def set_noise(privacy: dict[str, Any]) -> None:
    privacy["ledger"]["events"][-1]["noise_multiplier"] *= 1.1


def add_charge(privacy: dict[str, Any]) -> None:
    extra = {"kind": "gaussian", "name": "more", "noise_multiplier": 1e4, "count": 1}
    privacy["ledger"]["events"].insert(0, extra)
    privacy["ledger"]["target_epsilon"] *= 2


def overspend(privacy: dict[str, Any]) -> None:
    privacy["ledger"]["target_epsilon"] = 1.0


def set_rate(privacy: dict[str, Any]) -> None:
    privacy["sampling_rate"] /= 2


@pytest.mark.parametrize(
    "change, found",
    [
        (set_epsilon, "epsilon (PLD)"),
        (set_rounds, "charges, rounds"),
        (set_noise, "charges, rounds"),
        (add_charge, "charges, more"),
        (overspend, "ledger"),
        (set_rate, "settings in config.json and privacy.json"),
    ],
)
def test_an_edit_of_the_privacy_file_is_caught(
    copied: Record, change: Callable[[dict[str, Any]], None], found: str
) -> None:
    record = edited(copied, "privacy.json", change)
    assert any(what.startswith(found) for what in failing(record))
    # Whatever else is there, the exit status says so; nothing is run for it.
    assert verify.main([str(record.path), "--results", str(record.path.parent)]) == 1


def test_less_noise_in_all_files_alike_is_caught(copied: Record) -> None:
    """Ledger, configuration and epsilon agree with each other; the folder's name does not."""

    def lower(config: dict[str, Any]) -> None:
        config["config"]["noise_multiplier"] *= 1.5

    def lower_too(privacy: dict[str, Any]) -> None:
        privacy["noise_multiplier"] *= 1.5
        privacy["ledger"]["events"][-1]["noise_multiplier"] *= 1.5

    record = edited(edited(copied, "config.json", lower), "privacy.json", lower_too)
    wrong = failing(record)
    assert "noise multiplier, calibrated" in wrong
    assert "name, which holds a hash of the settings" in wrong


def test_an_edited_statement_and_history_are_caught(copied: Record) -> None:
    statement = copied.path / "statement.md"
    statement.write_text(statement.read_text().replace("1e-05", "1e-09"))
    history = copied.history
    history.loc[history.index[-1], "epsilon_rdp"] *= 0.9
    history.to_csv(copied.path / "history.csv", index=False)
    assert failing(Record(copied.path)) == ["epsilon (RDP), end of history.csv", "statement.md"]


@pytest.mark.parametrize("name, change", [("g2r_mlp", 0.01), ("frechet_distance", -0.5)])
def test_an_edited_metric_is_caught_by_the_rerun(
    copied: Record, name: str, change: float, capsys: pytest.CaptureFixture[str]
) -> None:
    def better(metrics: dict[str, Any]) -> None:
        metrics[name] += change

    record = edited(copied, "metrics.json", better)
    assert failing(record) == []  # the ledger is sound
    assert verify.main([str(record.path), "--results", str(record.path.parent)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "DISAGREES" in line]
    assert len(lines) == 2 and lines[0].split()[0] == name


def test_runs_with_other_last_digits_may_differ_as_two_seeds_do() -> None:
    noise = {"g2r_cnn": 0.01, "frechet_distance": 0.1, "inception_score": 0.01}
    committed = {"g2r_cnn": 0.90, "frechet_distance": 20.0, "inception_score": 8.0}
    near = {"g2r_cnn": 0.92, "frechet_distance": 21.0, "inception_score": 8.1}
    far = {"g2r_cnn": 0.95, "frechet_distance": 30.0, "inception_score": 8.1}
    assert not verify.same_bits(committed, near)
    assert all(check.agrees for check in verify.figure_checks(committed, near, noise))
    wrong = [c.what for c in verify.figure_checks(committed, far, noise) if not c.agrees]
    assert wrong == ["g2r_cnn", "frechet_distance"]
    missing = verify.figure_checks(committed, near | {"frechet_distance": None}, noise)
    assert not missing[1].agrees


def test_noise_between_seeds_is_pooled_within_settings(tmp_path: Path) -> None:
    values = {0: (0.80, 10.0), 1: (0.82, 11.0), 2: (0.84, 12.0)}
    for seed, (g2r, frechet) in values.items():
        for epsilon, shift in ((10.0, 0.0), (1.0, 0.3)):  # budgets differ, seeds alike
            figures = {"g2r_cnn": g2r - shift, "frechet_distance": frechet}
            make_record(tmp_path, seed=seed, epsilon=epsilon, **figures)
    noise = verify.seed_noise(committed_records(tmp_path), "efsgd")
    assert noise["g2r_cnn"] == pytest.approx(0.02)
    assert noise["frechet_distance"] == pytest.approx(1 / 11)  # relative
    assert "training_seconds" not in noise
    assert verify.seed_noise(committed_records(tmp_path), "gaussian") == noise  # has no runs


def test_what_takes_long_runs_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify.sets, "available", lambda name: True)
    figures = {"training_seconds": 300.0, "evaluation_seconds": 120.0}
    long = make_record(tmp_path, method="efsgd", **figures)
    long.run["threads"] = 1
    reason = verify.why_no_rerun(long, asked=False)
    assert reason is not None and "7 minutes" in reason and "RERUN=1" in reason
    assert verify.why_no_rerun(long, asked=True) is None
    assert verify.why_no_rerun(make_record(tmp_path, method="mixture"), asked=False) is None


def test_without_data_only_the_ledger_is_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verify.sets, "available", lambda name: False)
    (record,) = (ROOT / "results").glob("mnist-mixture-eps10-quick-seed0-*")
    assert verify.main([record.name, "--results", str(ROOT / "results")]) == 0
    shown = capsys.readouterr().out
    assert "not checked, only the ledger" in shown and "$DPGEN_DATA" in shown


def test_the_record_for_readers_without_data_is_committed_and_sound() -> None:
    record = verify.find_record(None, ROOT / "results")
    assert record.config.dataset == "glyphs"
    assert failing(record) == []
    assert verify.why_no_rerun(record, asked=False) is None


def test_a_wrong_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["no-such-record", "--results", str(ROOT / "results")]) == 2
    assert "RECORD: received 'no-such-record'" in capsys.readouterr().err
    with pytest.raises(InvalidArgument):
        verify.find_record("no-such-record", ROOT / "results")


def test_texts_must_be_equal_and_numbers_close() -> None:
    assert Check("x", 1.0, 1.1, 0.2).agrees and not Check("x", 1.0, 1.1, 0.05).agrees
    assert Check("x", "a", "a").agrees and not Check("x", "a", "b").agrees
    assert not Check("x", 1.0, float("nan"), 9.0).agrees
