"""Runs end to end: kill and resume, seeds, the journal against the ledger, records on disk."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dpgen_core import experiment
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import COLORED, method_names
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record, load_records
from dpgen_core.training import owner_trainer
from dpgen_core.training.workspace import JournalLine, Workspace

VOLATILE = ("training_seconds", "evaluation_seconds", "peak_memory_gb")


class Killed(Exception):
    """Stands in for a kill: nothing after it runs."""


def small(**changes: object) -> ExperimentConfig:
    values: dict[str, object] = {
        "dataset": "glyphs",
        "profile": "smoke",
        "num_records": 300,
        "num_shards": 30,
        "sampling_rate": 0.4,
        "checkpoint_every": 2,
        "synthetic_records": 40,
        "real_records": 40,
    }
    if str(changes.get("method", "efsgd-prior")).startswith(("efsgd-prior", "mixture")):
        # So few records would carry one cell, and the longer ledger go untested.
        values["prior_cells"] = 8
    return make_config(**(values | changes))  # type: ignore[arg-type]


def run(config: ExperimentConfig, folder: Path, kill_after: int | None = None) -> Record:
    def after_round(done: int) -> None:
        if done == kill_after:
            raise Killed

    return run_experiment(config, results_dir=folder, progress=False, after_round=after_round)


def same(first: Record, second: Record) -> None:
    with np.load(first.path / "synthetic.npz") as a, np.load(second.path / "synthetic.npz") as b:
        assert np.array_equal(a["images"], b["images"])
    for name in ("history.csv", "diagnostics.csv", "samples.png", "rounds.png"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name
    for key, value in first.metrics.items():
        if key not in VOLATILE:
            assert second.metrics[key] == value, key
    assert first.privacy["ledger"] == second.privacy["ledger"]


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


def test_two_runs_with_one_seed_are_identical_and_other_seeds_differ(tmp_path: Path) -> None:
    first, second = run(small(), tmp_path / "a"), run(small(), tmp_path / "b")
    same(first, second)
    other = run(small(seed=1), tmp_path / "a")
    assert not other.history["release_norm"].equals(first.history["release_norm"])


def test_record_holds_what_was_promised(tmp_path: Path) -> None:
    config = small(epsilon=3.0)
    record = run(config, tmp_path)
    assert record.config == config
    assert record.privacy["epsilon"]["pld"] <= record.privacy["epsilon"]["rdp"] <= 3.0
    counts = [event["count"] for event in record.privacy["ledger"]["events"]]
    assert counts == [1, 1, 1, 2, 2, 1, config.privacy.rounds]
    assert record.rounds_png is not None
    assert (
        record.privacy["ledger"]["events"][-1]["noise_multiplier"]
        == config.privacy.noise_multiplier
    )
    assert record.privacy["releasable"] is False
    assert "subtracted" in record.privacy["why_not_releasable"]
    assert len(record.history) == config.privacy.rounds
    assert record.history["epsilon_rdp"].is_monotonic_increasing
    assert record.history["epsilon_rdp"].iloc[-1] == pytest.approx(
        record.privacy["epsilon"]["rdp"], rel=1e-4
    )
    private = set(record.diagnostics.columns)
    assert {
        "clip_cosine",
        "clipped_share",
        "norm_mean",
        "norm_spread",
        "critic_gap",
        "joined",
    } <= private
    assert not (private - {"round"}) & set(record.history.columns)  # nothing private in public
    assert record.samples_png.read_bytes().startswith(b"\x89PNG")
    assert [r.path for r in load_records(tmp_path)] == [record.path]
    assert not (tmp_path / ".work" / config.record_name()).exists()
    before = record.samples_png.stat().st_mtime_ns
    assert run(config, tmp_path).samples_png.stat().st_mtime_ns == before  # not run again


def test_secret_noise_hides_private_files_and_differs_every_time(tmp_path: Path) -> None:
    config = small(noise_source="secret")
    first, second = run(config, tmp_path / "a"), run(config, tmp_path / "b")
    assert first.privacy["releasable"] is True
    assert not first.history["release_norm"].equals(second.history["release_norm"])
    assert not (first.path / "metrics.json").exists()
    assert (first.path / "private" / "metrics.json").exists()
    public = b"".join(p.read_bytes() for p in first.path.glob("*.json"))
    assert b"seeded-" not in public
    assert first.metrics["g2r_cnn"] >= 0


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
    attempts: list[tuple[int, int]] = []
    compute = owner_trainer.OwnerTrainer.compute

    def spy(self: owner_trainer.OwnerTrainer, index: int, attempt: int = 0):
        attempts.append((index, attempt))
        return compute(self, index, attempt)

    monkeypatch.setattr(owner_trainer.OwnerTrainer, "compute", spy)
    record = run(config, tmp_path)
    assert attempts[:3] == [(2, 0), (2, 1), (3, 0)]
    assert record.privacy["rounds"] == config.privacy.rounds - 1
    assert record.privacy["planned_rounds"] == config.privacy.rounds
    assert record.privacy["ledger"]["events"][-1]["count"] == config.privacy.rounds
    assert record.privacy["epsilon"]["rdp"] <= config.privacy.epsilon


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
    attempts: list[tuple[int, int]] = []
    compute = owner_trainer.OwnerTrainer.compute

    def spy(self: owner_trainer.OwnerTrainer, index: int, attempt: int = 0):
        attempts.append((index, attempt))
        return compute(self, index, attempt)

    monkeypatch.setattr(owner_trainer.OwnerTrainer, "compute", spy)
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


def test_kill_dash_nine_then_resume(tmp_path: Path) -> None:
    """A real SIGKILL in the middle of a round, in a process of its own."""
    config = small(rounds=8)
    whole = run(config, tmp_path / "whole")
    script = textwrap.dedent(
        f"""
        import json, os, signal, torch
        from pathlib import Path
        from dpgen_core.config.schema import ExperimentConfig
        from dpgen_core.experiment import run_experiment
        torch.set_num_threads({torch.get_num_threads()})
        config = ExperimentConfig.from_dict(json.loads(Path({str(tmp_path / "c.json")!r}).read_text()))
        def die(done):
            if done == 5:
                os.kill(os.getpid(), signal.SIGKILL)
        run_experiment(config, results_dir={str(tmp_path / "cut")!r}, progress=False, after_round=die)
        """
    )
    (tmp_path / "c.json").write_text(json.dumps(config.to_dict()))
    root = Path(__file__).parent.parent
    killed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert load_records(tmp_path / "cut") == []
    same(whole, run(config, tmp_path / "cut"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rounds": 50}, r"noise_multiplier: .*enough for epsilon 10.*a fresh make_config"),
        ({"noise_multiplier": 0.01}, r"noise_multiplier: received 0.01"),
        ({"relation": "add-or-remove"}, r"relation: received 'add-or-remove'.*'replace-one'"),
    ],
)
def test_a_plan_changed_after_calibration_is_refused_and_writes_nothing(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        run(small(method="efsgd").replace(**change), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_group_changed_by_hand_is_checked_as_well() -> None:
    config = small(method="efsgd")
    with pytest.raises(InvalidArgument, match=r"delta: received 0.2.*below 1/N"):
        dataclasses.replace(config.privacy, delta=0.2)


def test_training_stops_at_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger refuses the round that would pass the budget, whatever was planned."""
    monkeypatch.setattr(experiment, "_check_plan", lambda config: None)
    config = small(method="efsgd").replace(rounds=50)  # planned for 6 rounds' noise
    record = run(config, tmp_path)
    assert record.privacy["rounds"] == 6
    assert record.privacy["epsilon"]["rdp"] <= config.privacy.epsilon


def test_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    config = small().replace(image_shape=(1, 32, 32))
    with pytest.raises(InvalidArgument, match="image_shape"):
        run(config, tmp_path)
    assert not tmp_path.joinpath(".work").exists()


def test_incomplete_record_is_refused(tmp_path: Path) -> None:
    record = run(small(method="gaussian"), tmp_path)
    assert isinstance(record.history, pd.DataFrame)
    (record.path / "history.csv").unlink()
    with pytest.raises(InvalidArgument, match=r"missing: history.csv"):
        Record(record.path)


@pytest.mark.parametrize(
    "method",
    # two of them are run above, and those for color in `test_own_data`
    [m for m in method_names() if m not in ("efsgd", "efsgd-prior", *COLORED)],
)
def test_every_method_runs(method: str, tmp_path: Path) -> None:
    one_shot = method.partition("/")[0] in ("gaussian", "mixture")
    record = run(small(method=method, rounds=0 if one_shot else 2), tmp_path)
    assert record.privacy["epsilon"]["rdp"] <= record.config.privacy.epsilon
    assert torch.isfinite(torch.tensor(record.metrics["g2r_cnn"]))


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist", "celeba"])
def test_real_data_smoke(dataset: str, real_data: Path, tmp_path: Path) -> None:
    config = make_config(
        dataset=dataset,
        profile="smoke",
        num_records=400,
        rounds=2,
        synthetic_records=40,
        real_records=60,
        root=real_data,
    )
    record = run_experiment(config, results_dir=tmp_path, root=real_data, progress=False)
    assert record.privacy["num_records"] == 400
    assert record.privacy["epsilon"]["rdp"] <= 10


def test_journal_line_is_plain_json() -> None:
    line = JournalLine("rounds", 3, 0, "ab")
    assert JournalLine(**json.loads(json.dumps(dataclasses.asdict(line)))) == line


def test_a_record_made_with_another_default_is_not_taken_for_this_run(tmp_path: Path) -> None:
    config = make_config(dataset="glyphs", method="efsgd", profile="smoke", num_records=200)
    record = run_experiment(config, results_dir=tmp_path, progress=False)
    assert run_experiment(config, results_dir=tmp_path, progress=False).path == record.path
    path = record.path / "config.json"
    stored = json.loads(path.read_text())
    stored["config"]["ema_decay"] = 0.5
    path.write_text(json.dumps(stored))
    with pytest.raises(InvalidArgument, match="ema_decay"):
        run_experiment(config, results_dir=tmp_path, progress=False)
