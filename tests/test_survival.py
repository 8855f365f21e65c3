"""Hostile conditions: kills at random moments, a full disk, damaged work folders.

Whatever happens, a run ends in a clear error or in a clean resume, and no release that was used is
missing from the ledger.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dpgen_core import experiment
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import sets
from dpgen_core.data.sets import ImageData
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record, load_records
from dpgen_core.training import workspace
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.report import RoundReport
from dpgen_core.training.threads import using_threads

KILLS = 30
ROUNDS = 12


def configure(seed: int = 0, **changes: Any) -> ExperimentConfig:
    values: dict[str, Any] = {
        "dataset": "glyphs",
        "profile": "smoke",
        "num_records": 300,
        "num_shards": 30,
        "sampling_rate": 0.4,
        "rounds": ROUNDS,
        "checkpoint_every": 3,
        "synthetic_records": 40,
        "real_records": 40,
        "seed": seed,
    }
    return make_config(**values | changes)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data drawn once, and no evaluation: the runs here are about what lies before it."""
    kept: dict[tuple[object, ...], ImageData] = {}
    honest = sets.load

    def load(name: str, split: str, **keywords: Any) -> ImageData:
        key = (name, split, keywords.get("num_records"), keywords.get("seed"))
        if key not in kept:
            kept[key] = honest(name, split, **keywords)  # type: ignore[arg-type]
        return kept[key]

    for split, seed in (("train", 0), ("test", 0)):
        load("glyphs", split, num_records=300 if split == "train" else 40, seed=seed)
    monkeypatch.setattr(sets, "load", load)
    monkeypatch.setattr(experiment, "evaluate", lambda *arguments, **keywords: {})


@pytest.fixture
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as every other, without the time that they take to draw."""
    monkeypatch.setattr(experiment, "png_bytes", lambda *arguments, **keywords: b"a picture")
    monkeypatch.setattr(experiment, "rounds_sheet", lambda *arguments, **keywords: b"a picture")


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], set[str]]:
    """Digests of all releases that any process has used, noted beside the run's own books."""
    side = tmp_path / "used"
    honest = OwnerTrainer.apply

    def listening(trainer: OwnerTrainer, report: RoundReport) -> None:
        with open(side, "a") as file:
            file.write(report.digest() + "\n")
        honest(trainer, report)

    monkeypatch.setattr(OwnerTrainer, "apply", listening)
    return lambda: set(side.read_text().split()) if side.exists() else set()


def journaled(results: Path, config: ExperimentConfig) -> set[str]:
    path = results / ".work" / config.record_name() / "journal.jsonl"
    text = path.read_text() if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    return {json.loads(line)["digest"] for line in whole.splitlines()}


def charged(record: Record) -> int:
    return sum(e["count"] for e in record.privacy["ledger"]["events"] if e["name"] == "rounds")


def releases(record: Record) -> int:
    """All that the ledger charges, the prior's repeats included."""
    return sum(e["count"] for e in record.privacy["ledger"]["events"])


def go(config: ExperimentConfig, results: Path) -> Record:
    return run_experiment(config, results_dir=results, progress=False)


def killed_after(seconds: float, config: ExperimentConfig, results: Path) -> None:
    """Run in a forked child and kill it, unless it has ended by then."""
    child = os.fork()
    if child == 0:  # the parent's modules and data are there already
        try:
            go(config, results)
            os._exit(0)
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    assert ended in (0, -signal.SIGKILL), "the child failed by itself"


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """OpenMP's threads do not survive a fork."""
    with using_threads(1):
        yield


@pytest.mark.skipif(sys.platform == "darwin", reason="system libraries do not survive a fork")
@pytest.mark.usefixtures("_one_thread")
def test_thirty_kills_at_random_moments(tmp_path: Path, used: Callable[[], set[str]]) -> None:
    results, draw = tmp_path / "results", random.Random(7)
    calm = go(configure(), tmp_path / "calm")
    started = time.perf_counter()
    again = go(configure(), tmp_path / "again")  # the first one warmed up
    whole = time.perf_counter() - started
    assert (again.path / "history.csv").read_text() == (calm.path / "history.csv").read_text()
    before = used()
    kills, config, seed = 0, configure(), 0
    while kills < KILLS:
        killed_after(draw.uniform(0.02, 0.6) * whole, config, results)
        if (
            results / config.record_name()
        ).exists():  # it finished in time: go on with the next run
            assert charged(Record(results / config.record_name())) >= ROUNDS
            seed += 1
            before, config = used(), configure(seed)
        else:
            kills += 1
            assert used() - before <= journaled(results, config) | before
            assert not [r for r in load_records(results) if r.path.name == config.record_name()]
    record = go(config, results)
    assert charged(record) == ROUNDS  # on one machine a repeat is the same, and free
    # A prior that a killed process could not repeat to the bit is charged again and leads elsewhere.
    if seed == 0 and releases(record) == releases(calm):
        assert (record.path / "history.csv").read_text() == (calm.path / "history.csv").read_text()
        assert (record.path / "samples.png").read_bytes() == (
            calm.path / "samples.png"
        ).read_bytes()


def failing(honest: Callable[..., Any], position: int, calls: Iterator[int]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == position:
            raise OSError(28, "No space left on device")
        return honest(*arguments, **keywords)

    return call


@pytest.mark.usefixtures("_no_pictures")
@pytest.mark.parametrize("module, name", [("os", "fsync"), ("os", "replace"), ("", "save_file")])
def test_a_full_disk_at_any_write_is_survived(
    module: str,
    name: str,
    tmp_path: Path,
    used: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = workspace.os if module else workspace
    honest = getattr(place, name)
    config = configure(rounds=4, checkpoint_every=2)
    position, finished = 0, False
    while not finished:
        results, before = tmp_path / f"at-{position}", used()
        with monkeypatch.context() as patch:
            patch.setattr(place, name, failing(honest, position, iter(range(10**6))))
            try:
                go(config, results)
                finished = True
            except OSError as error:
                assert error.errno == 28
                assert not load_records(results)
        record = go(config, results)
        assert charged(record) >= max(4, len(used() - before))
        assert not list(results.glob("*.partial"))
        position += 1
    assert position > 3  # there were several writes to fail at


def interrupted(results: Path, config: ExperimentConfig, after: int) -> Path:
    """A run stopped after some rounds; its work folder."""

    def stop(done: int) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(config, results_dir=results, progress=False, after_round=stop)
    return results / ".work" / config.record_name()


@pytest.mark.usefixtures("_no_pictures")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("damage", ["cut", "flip"])
@pytest.mark.parametrize("name", ["journal.jsonl", "checkpoint.safetensors"])
def test_a_damaged_work_folder_never_counts_too_little(
    name: str, damage: str, seed: int, tmp_path: Path, used: Callable[[], set[str]]
) -> None:
    config, results = configure(), tmp_path / "results"
    path = interrupted(results, config, after=8) / name
    content, draw = bytearray(path.read_bytes()), random.Random(seed)
    where = draw.randrange(len(content))
    if damage == "cut":
        content = content[:where]
    else:
        content[where] ^= 1 << draw.randrange(8)
    path.write_bytes(bytes(content))
    try:
        record = go(config, results)
    except InvalidArgument as error:
        assert any(word in str(error) for word in ("journal:", "checkpoint:")) and "Try" in str(
            error
        )
        assert not load_records(results)
    else:
        assert charged(record) >= len(used())


def test_a_journal_that_lost_whole_lines_is_refused(tmp_path: Path) -> None:
    config, results = configure(), tmp_path / "results"
    path = interrupted(results, config, after=8) / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(InvalidArgument, match=r"lacks the rounds \[1\].*count too little"):
        go(config, results)
    path.write_text("".join(lines[1:]))
    with pytest.raises(InvalidArgument, match=r"lacks the prior \[0\]"):
        go(config, results)
    path.write_text("".join(lines))
    assert charged(go(config, results)) == ROUNDS


def test_a_class_without_records_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sets.load("glyphs", "train", num_records=300, seed=0)
    labels = torch.where(honest.labels == 3, 4, honest.labels)
    gap = ImageData("glyphs", honest.images, labels, honest.class_names)
    monkeypatch.setattr(sets, "load", lambda *arguments, **keywords: gap)
    for method in ("efsgd-prior", "efsgd", "gaussian"):
        rounds = 0 if method == "gaussian" else 3
        record = go(configure(method=method, rounds=rounds), tmp_path)
        assert record.samples_png.exists() and max(record.privacy["epsilon"].values()) <= 10
