"""A statement says what the ledger says, and says it when a run is not fit for release."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from companion.studies.committed import committed_records
from dpgen_core.accounting import epsilon_of_events
from dpgen_core.config.make import make_config
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record
from dpgen_core.records.statement import (
    DELTAS,
    FILE,
    epsilon_curve,
    privacy_statement,
    write_statement,
)

ROOT = Path(__file__).parents[2]


def make_record(folder: Path, noise_source: str, method: str = "efsgd-prior") -> Record:
    config = make_config(
        dataset="glyphs",
        method=method,
        profile="smoke",
        num_records=300,
        num_shards=30,
        synthetic_records=40,
        real_records=40,
        noise_source=noise_source,
    )
    return run_experiment(config, results_dir=folder, progress=False)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return make_record(tmp_path_factory.mktemp("results"), "secret")


def test_every_new_record_holds_its_statement(record: Record) -> None:
    text = (record.path / FILE).read_text()
    privacy = record.privacy
    printed = re.search(r"\(([0-9.]+), 1e-05\)-differentially private", text)
    assert printed and 0 <= float(printed[1]) - privacy["epsilon"]["pld"] < 1e-3
    assert f"**Number of records N**: {privacy['num_records']}." in text
    for event in privacy["ledger"]["events"]:
        assert f"| {event['name']} | {event['noise_multiplier']:.4f} " in text
    for line in privacy["outside_the_guarantee"]:
        assert line[1:] in text
    assert "Not fit for a release" not in text and "256-bit key" in text


def test_printed_figures_are_bounds_too() -> None:
    """To nearest, every other statement would promise a little more than was proved."""
    for committed in committed_records(ROOT / "results"):
        text, spent = (committed.path / FILE).read_text(), committed.privacy["epsilon"]
        printed = re.search(
            r"\(([0-9.]+), 1e-05\)-differentially private \(([0-9.]+) by", text.replace("\n", " ")
        )
        assert printed, committed.path.name
        assert float(printed[1]) >= spent["pld"] and float(printed[2]) >= spent["rdp"]


def test_the_curve_is_the_ledgers(record: Record) -> None:
    curve = epsilon_curve(record.privacy)
    assert tuple(curve) == DELTAS
    assert sorted(curve.values()) == list(curve.values())  # smaller deltas cost more
    assert curve[1e-5] == pytest.approx(record.privacy["epsilon"]["pld"])
    changed = json.loads(json.dumps(record.privacy))
    changed["ledger"]["target_epsilon"] = None
    changed["ledger"]["events"][-1]["count"] += 5
    assert all(epsilon_curve(changed)[d] > curve[d] for d in DELTAS)


def test_the_chance_to_guess_right_is_within_what_epsilon_allows(record: Record) -> None:
    text = (record.path / FILE).read_text()
    (chance,) = re.findall(r"right one with probability (0\.\d+) at most", text)
    for delta, epsilon in epsilon_curve(record.privacy).items():
        allowed = 1 / (1 + 2.718281828**-epsilon) + delta
        assert 0.5 < float(chance) < allowed


def test_seeded_noise_and_runs_without_rounds_are_named(tmp_path: Path) -> None:
    text = (make_record(tmp_path, "seeded", "gaussian").path / FILE).read_text()
    assert "**Not fit for a release of private data**" in text
    assert "**Rounds**" not in text and "| rounds |" not in text


def test_statements_of_committed_records_are_up_to_date() -> None:
    records = committed_records(ROOT / "results")
    assert records
    for record in records:
        fresh = privacy_statement(config=record.config, run=record.run, privacy=record.privacy)
        assert (record.path / FILE).read_text() == fresh, "run make results"


def test_writing_again_replaces_the_file(record: Record) -> None:
    before = (record.path / FILE).read_text()
    (record.path / FILE).write_text("edited")
    write_statement(record)
    assert (record.path / FILE).read_text() == before
    assert not list(record.path.glob("*.partial"))


def test_epsilon_of_an_empty_ledger_is_zero() -> None:
    assert epsilon_of_events([], delta=1e-5, relation="replace-one", accountant="pld") == 0.0
