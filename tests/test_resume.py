"""Killed and resumed: the same record, and no release that is not charged."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import Killed, run, same, small

from companion.studies.fork_server import fork_server
from dpgen_core import experiment
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.records.record import load_records
from dpgen_core.training import owner_trainer, session
from dpgen_core.training.workspace import Workspace


def watched_attempts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Round and attempt of every release that owners compute from now on."""
    attempts: list[tuple[int, int]] = []
    compute = owner_trainer.OwnerTrainer.compute

    def spy(self: owner_trainer.OwnerTrainer, index: int, attempt: int = 0):
        attempts.append((index, attempt))
        return compute(self, index, attempt)

    monkeypatch.setattr(owner_trainer.OwnerTrainer, "compute", spy)
    return attempts


@pytest.mark.parametrize("method", ["efsgd-prior", "efsgd"])
def test_killed_and_resumed_equals_uninterrupted(method: str, tmp_path: Path) -> None:
    config = small(method=method)
    whole = run(config, tmp_path / "whole")
    for kill_after in (3, 4):  # between checkpoints (one round is repeated), and right after one
        with pytest.raises(Killed):
            run(config, tmp_path / "cut", kill_after=kill_after)
    resumed = run(config, tmp_path / "cut")
    same(whole, resumed)
    assert resumed.privacy["restarts"] == 2
    assert resumed.privacy["rounds"] == config.privacy.rounds


def test_history_says_what_was_spent_by_a_round_not_what_a_killed_run_spent_later(
    tmp_path: Path,
) -> None:
    config = small(rounds=7, checkpoint_every=4)
    whole = run(config, tmp_path / "whole")
    with pytest.raises(Killed):
        run(config, tmp_path / "cut", kill_after=7)  # journaled, and to be repeated: rounds 5 to 7
    resumed = run(config, tmp_path / "cut")
    same(whole, resumed)
    assert resumed.history["epsilon_rdp"].is_monotonic_increasing
    last = resumed.history["epsilon_rdp"].iloc[-1]
    assert resumed.privacy["epsilon"]["rdp"] == pytest.approx(last, rel=1e-5)


def test_secret_run_resumes_under_its_own_secret(tmp_path: Path) -> None:
    config = small(noise_source="secret")
    with pytest.raises(Killed):
        run(config, tmp_path, kill_after=3)
    record = run(config, tmp_path)
    assert record.privacy["rounds"] == config.privacy.rounds
    assert sum(e["count"] for e in record.privacy["ledger"]["events"]) == 8 + config.privacy.rounds


def test_release_that_cannot_be_repeated_is_charged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another device a replay may differ in the last bit. Reusing its noise would leak; so it is
    drawn afresh, charged in addition, and the budget then ends the run one round early."""
    config = small()
    with pytest.raises(Killed):
        run(config, tmp_path, kill_after=3)  # rounds 1-3 journaled, checkpoint after 2
    folder = tmp_path / ".work" / config.record_name()
    lines = (folder / "journal.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["index"] == 2
    altered = json.loads(lines[-1]) | {"digest": "0" * 64}  # as if it had been another release
    (folder / "journal.jsonl").write_text("\n".join([*lines[:-1], json.dumps(altered)]) + "\n")
    attempts = watched_attempts(monkeypatch)
    record = run(config, tmp_path)
    assert attempts[:3] == [(2, 0), (2, 1), (3, 0)]
    assert record.privacy["rounds"] == config.privacy.rounds - 1
    assert record.privacy["planned_rounds"] == config.privacy.rounds
    assert record.privacy["ledger"]["events"][-1]["count"] == config.privacy.rounds
    assert record.privacy["epsilon"]["rdp"] <= config.privacy.epsilon


def test_a_prior_that_cannot_be_repeated_gets_noise_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sums under the same noise differ by what is private: the second release takes other noise."""
    config = small(method="efsgd-prior", prior_share=0.3)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(session.Session, "_save", _kill)  # journaled, and no checkpoint yet
        run(config, tmp_path)
    journal = tmp_path / ".work" / config.record_name() / "journal.jsonl"
    (line,) = (json.loads(line) for line in journal.read_text().splitlines())
    assert (line["name"], line["attempt"]) == ("prior", 0)
    journal.write_text(json.dumps(line | {"digest": "0" * 64}) + "\n")
    attempts, honest = [], session.make_prior

    def watched(*arguments: Any, attempt: int, **keywords: Any):
        attempts.append(attempt)
        return honest(*arguments, attempt=attempt, **keywords)

    monkeypatch.setattr(session, "make_prior", watched)
    record = run(config, tmp_path)
    assert attempts == [0, 1]
    events = record.privacy["ledger"]["events"]
    charged = sum(event["count"] for event in events if event["name"] == "prior/means")
    assert charged == 2  # both were released
    assert record.privacy["epsilon"]["rdp"] <= config.privacy.epsilon


def _kill(self: session.Session) -> None:
    raise Killed


def test_rounds_after_a_checkpoint_are_repeated_all_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty round repeats on any device. Free beside charged neighbors, it would be seen."""
    config = small(checkpoint_every=6)
    with pytest.raises(Killed):
        run(config, tmp_path, kill_after=4)  # rounds 1-4 journaled, checkpoint before the first
    journal = tmp_path / ".work" / config.record_name() / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if (line["name"], line["index"]) == ("rounds", 2):  # the third is another on this device
            line["digest"] = "0" * 64
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    attempts = watched_attempts(monkeypatch)
    record = run(config, tmp_path)
    assert attempts == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    # Four rounds were charged before, so the budget has two left; either was charged twice.
    assert record.privacy["rounds"] == 2
    assert record.privacy["ledger"]["events"][-1]["count"] == config.privacy.rounds
    assert record.privacy["restarts"] == 1


def test_kill_between_journal_and_checkpoint_never_undercounts(tmp_path: Path) -> None:
    config = small()
    released = []
    for kill_after in (1, 3, 5):
        with pytest.raises(Killed):
            run(config, tmp_path, kill_after=kill_after)
        with Workspace(
            tmp_path / ".work" / config.record_name(),
            fingerprint=(tmp_path / ".work" / config.record_name() / "fingerprint").read_text(),
            noise_source="seeded",
            seed=0,
        ) as workspace:
            rounds = {line.index for line in workspace.journal if line.name == "rounds"}
            released.append(len(rounds))
    assert released == [1, 3, 5]


def test_a_record_that_another_process_finished_meanwhile_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look for a record and the lock, the other process writes it and clears up."""
    config = small()
    other = run(config, tmp_path / "other")
    honest = experiment._open_workspace

    def open_late(*arguments: Any) -> Workspace:
        shutil.copytree(other.path, tmp_path / "here" / other.path.name)
        return honest(*arguments)

    monkeypatch.setattr(experiment, "_open_workspace", open_late)
    monkeypatch.setattr(experiment, "Session", None)  # not to be called
    record = run(config, tmp_path / "here")
    assert record.path.parent.name == "here"
    assert not (tmp_path / "here" / ".work" / config.record_name()).exists()


def run_and_die(settings: dict[str, Any], folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)

    def die(done: int) -> None:
        if done == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    config = ExperimentConfig.from_dict(settings)
    experiment.run_experiment(config, results_dir=folder, progress=False, after_round=die)


def test_kill_dash_nine_then_resume(tmp_path: Path) -> None:
    """A real SIGKILL in the middle of a round, in a process of its own."""
    config = small(rounds=8)
    whole = run(config, tmp_path / "whole")
    own = config.to_dict(), tmp_path / "cut", torch.get_num_threads()
    killed = fork_server().Process(target=run_and_die, args=own)
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert load_records(tmp_path / "cut") == []
    same(whole, run(config, tmp_path / "cut"))
