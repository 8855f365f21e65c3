"""Runs end to end: kill and resume, seeds, the journal against the ledger, records on disk."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_runs import run, same, small

from dpgen_core import experiment
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import COLORED, method_names
from dpgen_core.data import sets
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.metrics import evaluate, subset
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record, load_records
from dpgen_core.training.workspace import JournalLine


def test_two_runs_with_one_seed_are_identical_and_other_seeds_differ(tmp_path: Path) -> None:
    first, second = run(small(), tmp_path / "a"), run(small(), tmp_path / "b")
    same(first, second)
    other = run(small(seed=1), tmp_path / "a")
    assert not other.history["release_norm"].equals(first.history["release_norm"])


def test_drawn_digits_are_judged_at_the_size_of_the_run(tmp_path: Path) -> None:
    record = run(small(method="gaussian", image_size=16), tmp_path)
    assert record.config.image_shape == (1, 16, 16) and 0 <= record.metrics["g2r_cnn"] <= 1


def test_training_time_ends_before_the_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = time.perf_counter

    def slow(*sets: Any, **options: Any) -> Any:
        monkeypatch.setattr(time, "perf_counter", lambda: clock() + 1000)
        return evaluate(*sets, **options)

    monkeypatch.setattr(experiment, "evaluate", slow)
    metrics = run(small(), tmp_path).metrics
    assert metrics["evaluation_seconds"] >= 1000 > metrics["training_seconds"]


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
    config = small().replace(image_shape=(3, 28, 28))
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


@pytest.fixture
def _few_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the test images of a real set a few hundred: to judge them all takes longer than the run."""
    honest = sets.load

    def load(name: str, split: str, **keywords: Any) -> ImageData:
        data = honest(name, split, **keywords)  # type: ignore[arg-type]
        return subset(data, 500, 0) if split == "test" else data

    monkeypatch.setattr(sets, "load", load)


@pytest.mark.usefixtures("_few_tested")
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


@pytest.mark.parametrize("method", ["efsgd", "efsgd-prior", "mixture", "dp-sgd-critic", "gs-wgan"])
def test_the_smallest_settings_allowed_run_to_their_end(method: str, tmp_path: Path) -> None:
    """What a configuration lets through must not fail once something was released."""
    least = {
        **dict.fromkeys(("latent_dim", "critic_width", "critic_batch", "critic_steps"), 1),
        **dict.fromkeys(("generated_batch", "basis_modes", "num_shards", "rounds"), 1),
        **dict.fromkeys(("classifier_epochs", "checkpoint_every", "prior_rank"), 1),
        **dict.fromkeys(("synthetic_records", "real_records", "neighbor_records"), 10),
        **dict.fromkeys(("generator_momentum", "ema_decay", "feedback_decay"), 0.0),
        **{"generator_width": 4, "critic_warmup_steps": 0, "fake_pool": 10, "sampling_rate": 1.0},
    }
    if method in ("efsgd-prior", "mixture"):
        least |= {"prior_modes": 1, "prior_cells": 2}
    if method == "mixture":
        least["rounds"] = 0
    config = small(method=method, **least)
    assert run(config, tmp_path).privacy["rounds"] == least["rounds"]
