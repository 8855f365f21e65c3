"""Links appear only where the repository is known; the copies for Colab set themselves up first."""

from __future__ import annotations

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


def test_copies_need_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch)
    with pytest.raises(InvalidArgument, match="DPGEN_REPOSITORY"):
        launch.main([str(tmp_path)])
    assert not list(tmp_path.iterdir())
