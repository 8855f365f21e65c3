"""Files that appear whole, and private ones."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from dpgen_core.files import write_private, write_whole


@pytest.mark.parametrize("write", [write_whole, write_private])
@pytest.mark.parametrize("step", ["replace", "open"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    write, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answer.json"
    write(path, "old")

    def full(*given: object, **how: object) -> None:
        raise OSError("no space left on device")

    where = os if step == "replace" or write is write_private else Path
    monkeypatch.setattr(where, step if where is os else "write_text", full)
    with pytest.raises(OSError, match="no space"):
        write(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    write(path, "new")
    assert path.read_text() == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files, as POSIX has")
def test_a_private_file_is_for_its_owner_and_is_forced_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[int] = []
    honest = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (forced.append(number), honest(number))[1])
    path = tmp_path / "secret"
    write_private(path, "42")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(forced) == 1
