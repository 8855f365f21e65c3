"""What the book shows: committed runs on public data sets, and nobody's own images."""

from __future__ import annotations

from pathlib import Path

from made_records import make_record

from companion.studies.committed import committed_records


def test_a_secret_record_is_never_taken_for_a_committed_one(tmp_path: Path) -> None:
    shown = make_record(tmp_path)
    make_record(tmp_path, settings={"noise_source": "secret"}, seed=1)
    assert [record.path for record in committed_records(tmp_path)] == [shown.path]


def test_a_record_of_ones_own_folder_is_never_shown(tmp_path: Path) -> None:
    make_record(tmp_path, dataset="folder_gray")
    assert committed_records(tmp_path) == []
