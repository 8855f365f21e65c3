"""Runs of a second, killed where a test wants it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record

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
