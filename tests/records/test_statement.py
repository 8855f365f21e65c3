"""A statement says what the ledger says, and says it when a run is not fit for release."""

from __future__ import annotations

import hashlib
import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import ndtr

from companion.book.statements import write_statement
from companion.studies.committed import committed_records
from dpgen_core.accounting import GaussianEvent, Ledger, epsilon_of_events
from dpgen_core.config.make import make_config
from dpgen_core.experiment import run_experiment
from dpgen_core.records.bounds import (
    DELTAS,
    delta_text,
    epsilon_curve,
    group_epsilon,
    tail_delta,
)
from dpgen_core.records.record import Record
from dpgen_core.records.statement import STATEMENT_FILE, privacy_facts, privacy_statement
from dpgen_core.streams import HiddenStream

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("statement")  # one run serves several tests


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
    text = (record.path / STATEMENT_FILE).read_text()
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
        text, spent = (committed.path / STATEMENT_FILE).read_text(), committed.privacy["epsilon"]
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
    text = (record.path / STATEMENT_FILE).read_text()
    (chance,) = re.findall(r"right one with probability (0\.\d+) at most", text)
    for delta, epsilon in epsilon_curve(record.privacy).items():
        allowed = 1 / (1 + 2.718281828**-epsilon) + delta
        assert 0.5 < float(chance) < allowed


def test_seeded_noise_and_runs_without_rounds_are_named(tmp_path: Path) -> None:
    text = (make_record(tmp_path, "seeded", "gaussian").path / STATEMENT_FILE).read_text()
    assert "**Not fit for a release of private data**" in text
    assert "**Rounds**" not in text and "| rounds |" not in text


def test_statements_of_committed_records_are_up_to_date() -> None:
    records = committed_records(ROOT / "results")
    assert records
    for record in records:
        fresh = privacy_statement(config=record.config, run=record.run, privacy=record.privacy)
        assert (record.path / STATEMENT_FILE).read_text() == fresh, "run make results"


def test_writing_again_replaces_the_file(record: Record) -> None:
    before = (record.path / STATEMENT_FILE).read_text()
    (record.path / STATEMENT_FILE).write_text("edited")
    write_statement(record)
    assert (record.path / STATEMENT_FILE).read_text() == before
    assert not list(record.path.glob("*.partial"))


def test_epsilon_of_an_empty_ledger_is_zero() -> None:
    assert epsilon_of_events([], delta=1e-5, relation="replace-one", accountant="pld") == 0.0


def facts(noise_multiplier: float, delta: float = 1e-5) -> dict[str, Any]:
    """What a privacy.json says of one plain Gaussian release."""
    ledger = Ledger(relation="replace-one", delta=delta, accountant="pld")
    ledger.charge(GaussianEvent("sums", noise_multiplier))
    return {"ledger": ledger.to_dict(), "delta": delta}


@given(st.floats(1e-12, 0.5), st.integers(1, 6))
def test_a_printed_delta_is_no_smaller_than_the_delta(delta: float, digits: int) -> None:
    printed = Decimal(delta_text(delta, digits))
    assert Decimal(repr(delta)) <= printed <= Decimal(delta) * (1 + Decimal(10) ** (1 - digits))


def test_deltas_that_need_no_rounding_are_printed_as_they_are() -> None:
    assert [delta_text(delta) for delta in DELTAS] == [f"{delta:g}" for delta in DELTAS]


def test_what_cut_tails_add() -> None:
    """Two sigma of C = 1 under replace-one: the shift is 2 C over sigma C."""
    assert tail_delta(2 / 1.0, 1) == pytest.approx(2.153e-23, rel=1e-3)
    assert tail_delta(2 / 0.3, 1) == pytest.approx(8.478e-8, rel=1e-3)
    assert tail_delta(0.0, 1) == pytest.approx(2.0**-107)
    assert tail_delta(0.0, 1000) == pytest.approx(1000 * 2.0**-107)
    assert tail_delta(11.0, 1) == 1.0


def test_the_noise_ends_where_the_tails_are_counted_from(monkeypatch: pytest.MonkeyPatch) -> None:
    smallest = np.zeros(2, dtype=np.uint64)
    monkeypatch.setattr(HiddenStream, "_words", lambda stream, count: smallest[:count])
    end = abs(float(HiddenStream("key").normal([1])))
    assert ndtr(-end) == pytest.approx(tail_delta(0.0, 1))


@given(
    st.lists(st.just(0.0) | st.floats(1e-6, 1), min_size=1, max_size=200).filter(any),
    st.floats(1e-3, 10.0),
)
def test_no_split_of_a_shift_over_many_numbers_adds_more(parts: list[float], norm: float) -> None:
    end = 11.896605537989052
    shifts = np.asarray(parts) / np.linalg.norm(parts) * norm
    lost = float(ndtr(shifts - end).sum())
    assert lost <= tail_delta(norm, len(parts)) * (1 + 1e-9)


@pytest.mark.parametrize("noise", [5.0, 20.0, 80.0])
def test_a_group_of_two_or_more_is_covered_by_what_is_printed(noise: float) -> None:
    """Against the exact bound of a Gaussian release, whose shift is `size` times as long."""
    before = 0.0
    for size in (1, 2, 5, 10):
        printed = group_epsilon(facts(noise), size)
        exact = epsilon_of_events(
            [GaussianEvent("sums", noise / size)],
            delta=1e-5,
            relation="replace-one",
            accountant="pld",
        )
        if printed is None:
            assert noise == 5.0 and size > 2
            continue
        assert before < printed and exact <= printed
        before = printed
    one = group_epsilon(facts(noise), 1)
    assert one == pytest.approx(epsilon_curve(facts(noise))[1e-5])


def test_a_group_bound_follows_from_the_bound_for_one() -> None:
    privacy, size = facts(20.0), 5
    printed = group_epsilon(privacy, size)
    assert printed is not None
    single = next(
        delta
        for delta in (1e-5 / 2**step for step in range(200))
        if size * epsilon_curve(privacy, [delta])[delta] >= printed * (1 - 1e-9)
    )
    total = single * sum(math.exp(i * printed / size) for i in range(size))
    assert total <= 1e-5 < 4 * total


def test_a_release_without_a_useful_group_bound_says_so(record: Record) -> None:
    assert group_epsilon(facts(0.5), 2) is None
    text = (record.path / STATEMENT_FILE).read_text()
    assert "| 10 | no useful bound |" in text


def test_a_statement_is_tied_to_the_synthetic_file(record: Record) -> None:
    file = record.path / "synthetic.npz"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert record.privacy["synthetic"] == {"count": 40, "sha256": digest}
    text = (record.path / STATEMENT_FILE).read_text()
    assert f"40 in synthetic.npz, whose SHA-256 is {digest}." in text
    assert f"finished {record.run['finished']}" in text and "+00:00" in record.run["finished"]
    assert f"dpgen-core {record.run['versions']['dpgen-core']}" in text


def test_what_only_a_person_knows_is_left_blank(record: Record) -> None:
    config = record.config.replace(title="Scans\nof 2024", description="Two clinics.")
    privacy = {**record.privacy, "class_names": ["ill", "well"], "num_held_out": 60}
    text = privacy_statement(config=config, run=record.run, privacy=privacy)
    assert text.startswith("# Privacy statement: Scans of 2024\n")
    assert "* **Description**: Two clinics.\n" in text
    assert "* **Classes**: ill, well; these names are public." in text
    assert "* **Held out**: 60 more images" in text
    assert "**Released by**: ______" in text and "Chosen for this run by ______" in text
    assert "but for num_shards, real_records, synthetic_records." in text
    assert "one trusted curator" in text and "removed (not wiped)" in text
    public = {**privacy, "releasable": False}
    assert "______" not in privacy_statement(config=config, run=record.run, privacy=public)


def test_one_s_own_files_in_public_order_are_neighbors_under_one_name(record: Record) -> None:
    for dataset, source, said in (
        ("folder_gray", "seeded", True),
        ("folder_gray", "secret", False),
        ("glyphs", "seeded", False),
    ):
        config = record.config.replace(dataset=dataset)
        privacy = {**record.privacy, "noise_source": source}
        text = privacy_statement(config=config, run=record.run, privacy=privacy)
        assert ("exchanged for another of the same file name;" in text) == said


def test_releases_charged_again_after_a_resume_are_explained(record: Record) -> None:
    again = json.loads(json.dumps(record.privacy))
    again["ledger"]["target_epsilon"] = None
    again["ledger"]["events"][-1]["count"] += 6
    text = privacy_statement(config=record.config, run=record.run, privacy=again)
    counted = sum(event["count"] for event in again["ledger"]["events"])
    assert f"counts {counted} releases where a run without a break makes {counted - 6}" in text
    assert "The ledger counts" not in (record.path / STATEMENT_FILE).read_text()


def test_facts_name_classes_and_held_out_records_when_told(record: Record) -> None:
    ledger = Ledger.from_dict(record.privacy["ledger"])
    spent, config = record.privacy["epsilon"], record.config
    told = privacy_facts(
        config, ledger, spent, rounds=6, restarts=0, class_names=("a", "b"), num_held_out=7
    )
    assert (told["class_names"], told["num_held_out"]) == (["a", "b"], 7)
    untold = privacy_facts(config, ledger, spent, rounds=6, restarts=0)
    assert set(told) - set(untold) == {"class_names", "num_held_out"}
    assert json.loads(json.dumps(told)) == told
