"""The two tables of the experiment page show what the record holds."""

from __future__ import annotations

import pytest
from made_records import make_record

from companion.book.pages import caveats
from companion.book.summary import fid_note, metrics_table, privacy_table
from companion.studies.committed import committed_records
from dpgen_core.config.make import make_config
from dpgen_core.experiment import run_experiment
from dpgen_core.records.record import Record

pytestmark = pytest.mark.xdist_group("summary")  # one run serves both tests


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    config = make_config(
        dataset="glyphs",
        profile="smoke",
        num_records=300,
        num_shards=30,
        rounds=2,
        synthetic_records=40,
        real_records=40,
    )
    return run_experiment(config, results_dir=tmp_path_factory.mktemp("results"), progress=False)


def test_every_release_is_in_the_privacy_table(record: Record) -> None:
    table = privacy_table(record)["value"]
    for event in record.privacy["ledger"]["events"]:
        shown = table[f"event {event['name']}"]
        assert f"noise multiplier {event['noise_multiplier']:.3f}" in shown
        assert f"{event['count']} time(s)" in shown
    assert "q = 0.2" in table["event rounds"]
    assert table["epsilon, Renyi"] == f"{record.privacy['epsilon']['rdp']:.3f}"
    assert table["fit for release"] == "no, see below"
    assert all(len(value) < 50 for value in table)  # pandas cuts longer ones off
    assert "the noise follows from the public seed" in str(caveats(record).data)


def test_missing_figures_are_marked_and_not_zero(record: Record) -> None:
    table = metrics_table(record)["value"]
    assert table["g2r accuracy, CNN"] == f"{record.metrics['g2r_cnn']:.4g}"
    if record.metrics["fid"] is None:
        assert table["FID"] == "n/a"
        assert table["why there is no FID"] == record.metrics["fid_reason"] != ""


def test_the_note_on_fid_counts_the_records_that_have_one(tmp_path):
    make_record(tmp_path, seed=0, fid=None)
    assert "Of the 1 records in the tables, none has a FID" in fid_note(committed_records(tmp_path))
    make_record(tmp_path, seed=1, fid=30.0)
    assert "Of the 2 records in the tables, 1 has a FID" in fid_note(committed_records(tmp_path))
