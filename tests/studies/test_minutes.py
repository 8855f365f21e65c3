"""Minutes come from a fresh clone, and a command that fails leaves none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from companion.studies.benchmarks.minutes import Clone, edit, fresh_clone, row
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
    with fresh_clone(repository, ["sleep", "0.3"]) as clone:
        assert 0.3 <= clone.setup < 30
        assert clone.run(["test", "-e", "committed"])[0] < 30
        with pytest.raises(InvalidArgument, match="test -e left-out: received 1"):
            clone.run(["test", "-e", "left-out"])
        path = clone.path
    assert not path.exists()


def test_memory_of_children_counts(tmp_path: Path) -> None:
    child = "block = bytearray(300 * 2**20); import time; time.sleep(2)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    _, peak = Clone(tmp_path, "").run([sys.executable, "-c", parent])
    assert 0.29 < peak < 0.5


def test_a_row_holds_the_median_and_the_peak() -> None:
    made = row("make book", [(60.0, 1.0), (600.0, 3.0), (120.0, 2.0)])
    assert made["minutes"] == 2.0 and made["memory_gb"] == 3.0
    assert made["seconds"] == [60.0, 600.0, 120.0]


def test_an_edit_changes_text_alone(tmp_path: Path) -> None:
    page, notebook = tmp_path / "page.md", tmp_path / "notebook.ipynb"
    page.write_text("# Page\n")
    new = nbformat.v4
    cells = [new.new_markdown_cell("# Title"), new.new_code_cell("1 + 1")]
    nbformat.write(new.new_notebook(cells=cells), notebook)
    for path in (page, notebook):
        edit(path, 7)
    assert "This is sentence 7." in page.read_text()
    text, code = nbformat.read(notebook, as_version=4).cells
    assert "This is sentence 7." in text.source and code.source == "1 + 1"
