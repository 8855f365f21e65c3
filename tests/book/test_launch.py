"""Links appear only where the repository is known; the copies for Colab set themselves up first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from companion.book import launch
from dpgen_core.checks import InvalidArgument


def _notebook() -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_markdown_cell("(x)=\n# Title\n\nText"), nbformat.v4.new_code_cell("1")]
    return nbformat.v4.new_notebook(cells=cells)


def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DPGEN_REPOSITORY", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)


def test_no_link_without_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch)
    notebook = _notebook()
    launch.with_links(notebook, "losses", launch.repository())
    assert notebook.cells[0].source == "(x)=\n# Title\n\nText"


def test_links_stand_below_the_heading_and_name_files_that_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _without(monkeypatch)
    monkeypatch.setenv("GITHUB_REPOSITORY", "some-one/dp.gen")
    notebook = _notebook()
    launch.with_links(notebook, "losses", launch.repository())
    heading, line, text = notebook.cells[0].source.split("\n\n")
    assert (heading, text) == ("(x)=\n# Title", "Text")
    for address in (
        "colab.research.google.com/github/some-one/dp.gen/blob/launch/notebooks/losses.ipynb",
        "mybinder.org/v2/gh/some-one/dp.gen/HEAD?labpath=notebooks/losses.ipynb",
    ):
        assert address in line
    assert (Path(__file__).parents[2] / "notebooks" / "losses.ipynb").exists()


def test_a_wrong_repository_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPGEN_REPOSITORY", "https://example.org/x")
    with pytest.raises(InvalidArgument, match="owner/name"):
        launch.repository()


def test_copies_get_the_clone_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPGEN_REPOSITORY", "some-one/dpgen")
    launch.main([str(tmp_path), "--commit", "abc123"])
    sources = {path.name for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb")}
    written = sorted((tmp_path / "notebooks").glob("*.ipynb"))
    assert {path.name for path in written} == sources
    for path in written:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        first = notebook.cells[0].source
        assert "clone" in first and "some-one/dpgen" in first and "abc123" in first


def test_notebooks_find_the_companion_from_their_own_folder() -> None:
    """As Jupyter and Binder start them, after `pip install .` and without a path set."""
    root = Path(__file__).parents[2]
    code = "import companion.book.pages, companion.studies.committed as c; print(c.project_root())"
    command = [sys.executable, "-c", code]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        command, cwd=root / "notebooks", env=clean, capture_output=True, text=True, check=True
    )
    assert Path(ran.stdout.strip()) == root


def test_the_set_up_cell_runs(tmp_path: Path) -> None:
    """Its own lines, in a shell: the clone is made and checked out at the commit that is named."""
    origin = tmp_path / "origin"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(origin)]
    origin.mkdir()
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    commit = head.stdout.strip()
    cell = launch.with_setup(_notebook(), "some-one/dpgen", commit).cells[0].source
    lines = [line.lstrip("!%") for line in cell.splitlines() if not line.startswith("#")]
    assert lines.pop() == "pip install --quiet ."
    redirect = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{origin.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/some-one/dpgen",
    }
    script = " && ".join([*lines, "git rev-parse HEAD"])
    ran = subprocess.run(
        script,
        shell=True,
        cwd=tmp_path,
        env=os.environ | redirect,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == commit


def test_copies_need_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch)
    with pytest.raises(InvalidArgument, match="DPGEN_REPOSITORY"):
        launch.main([str(tmp_path)])
    assert not list(tmp_path.iterdir())
