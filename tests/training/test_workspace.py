"""The private work folder: atomic checkpoints, a journal that cannot under-count, one lock."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import torch

from dpgen_core.checks import InvalidArgument
from dpgen_core.training.workspace import JournalLine, Workspace


def open_workspace(path: Path, fingerprint: str = "f", source: str = "seeded") -> Workspace:
    return Workspace(path, fingerprint=fingerprint, noise_source=source, seed=0)


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "w") as workspace:
        assert workspace.load() is None
        workspace.save({"a": torch.arange(3.0)}, {"next_round": 7, "public": [{"x": 1.5}]})
        loaded = workspace.load()
    assert loaded is not None
    assert torch.equal(loaded[0]["a"], torch.arange(3.0))
    assert loaded[1] == {"next_round": 7, "public": [{"x": 1.5}]}


def test_half_written_checkpoint_is_never_read(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "w") as workspace:
        workspace.save({"a": torch.zeros(1)}, {"next_round": 1})
        (tmp_path / "w" / "checkpoint.partial").write_bytes(b"cut sho")
        loaded = workspace.load()
    assert loaded is not None
    assert loaded[1]["next_round"] == 1


def test_journal_survives_and_drops_only_a_cut_line(tmp_path: Path) -> None:
    first, second = JournalLine("rounds", 0, 0, "aa"), JournalLine("rounds", 1, 0, "bb")
    with open_workspace(tmp_path / "w") as workspace:
        workspace.record_release(first)
        workspace.record_release(second)
    with open(tmp_path / "w" / "journal.jsonl", "a") as file:
        file.write('{"name": "rounds", "ind')
    with open_workspace(tmp_path / "w") as workspace:
        assert workspace.journal == [first, second]
        workspace.record_release(JournalLine("rounds", 1, 1, "cc"))
        assert workspace.attempts("rounds", 1) == {"bb": 0, "cc": 1}
    with open_workspace(tmp_path / "w") as workspace:
        assert len(workspace.journal) == 3


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "w"):
        with pytest.raises(InvalidArgument, match="used by one run at a time"):
            open_workspace(tmp_path / "w")
    open_workspace(tmp_path / "w").__exit__(None, None, None)


def test_other_data_or_settings_are_refused(tmp_path: Path) -> None:
    open_workspace(tmp_path / "w", "one").__exit__(None, None, None)
    with pytest.raises(InvalidArgument, match="data or settings changed"):
        open_workspace(tmp_path / "w", "two")


def test_secret_is_kept_for_the_resumed_run_and_hidden(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "w", source="secret") as workspace:
        key = workspace.key
    with open_workspace(tmp_path / "w", source="secret") as workspace:
        assert workspace.key == key
        mode = stat.S_IMODE((tmp_path / "w" / "secret").stat().st_mode)
        assert mode == 0o600
    with open_workspace(tmp_path / "other", source="secret") as workspace:
        assert workspace.key != key
        workspace.discard()
    assert not (tmp_path / "other").exists()
