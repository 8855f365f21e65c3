"""Timings come from a fresh clone, and a command that fails leaves none."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from companion.studies.clone_timings import measure, read, write
from dpgen_core.checks import InvalidArgument


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (root / "committed").touch()
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], cwd=root, check=True)
    (root / "left-out").touch()
    return root


def test_only_what_is_committed_is_measured(repository: Path) -> None:
    rows = measure(repository, (("test", "-e", "committed"), ("sleep", "0.6")))
    assert [row["command"] for row in rows] == ["test -e committed", "sleep 0.6"]
    assert rows[0]["minutes"] == 0.0
    with pytest.raises(InvalidArgument, match="test -e left-out: received 1"):
        measure(repository, (("test", "-e", "left-out"),))


def test_written_and_read_back(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    rows: list[dict[str, Any]] = [{"command": "make test", "minutes": 3.2}]
    write(rows, tmp_path)
    assert read(tmp_path) == rows
    assert [path.name for path in tmp_path.iterdir()] == ["timings.json"]
