"""Executed notebooks are kept while all that they read is the same, and no longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from companion.book import executed
from companion.book.build import execute
from companion.book.executed import joined, read_digest

CODE = "value = 6 * 7\nprint(value, flush=True)"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("book", "notebooks", "dpgen_core", "results/local"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "dpgen_core" / "module.py").write_text("a = 1")
    (tmp_path / "results" / "record.json").write_text("{}")
    monkeypatch.setattr(executed, "data_root", lambda: tmp_path / "data")
    monkeypatch.setattr("dpgen_core.data.sets.available", lambda name: False)
    monkeypatch.setattr("companion.book.build.EXPERIMENT_PAGES", ())
    write(tmp_path, "Some text.")
    return tmp_path


def write(clone: Path, text: str, code: str = CODE, tags: tuple[str, ...] = ()) -> None:
    v4 = nbformat.v4
    first = v4.new_code_cell("profile = None", metadata={"tags": ["parameters"]})
    last = v4.new_code_cell(code, metadata={"tags": list(tags)})
    cells = [v4.new_markdown_cell(f"# Page\n\n{text}"), first, last]
    kernel = {"name": "python3", "display_name": "", "language": "python"}
    notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, clone / "notebooks" / "page.ipynb")


def built(clone: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Any]:
    """How many notebooks a build ran, and the page that it left."""
    runs: list[str] = []
    original = papermill.execute_notebook

    def counted(source: str, *rest: Any, **options: Any) -> Any:
        runs.append(source)
        return original(source, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(papermill, "execute_notebook", counted)
        execute(clone, "smoke")
    return len(runs), nbformat.read(clone / "book" / "_executed" / "page.ipynb", as_version=4)


def test_new_prose_gets_the_old_outputs_and_runs_nothing(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert built(clone, monkeypatch)[0] == 1
    write(clone, "Better text.")
    runs, page = built(clone, monkeypatch)
    assert runs == 0
    assert "Better text." in page.cells[0].source
    assert page.cells[2].source.endswith('profile = "smoke"\n')  # injected behind the default
    assert page.cells[3].outputs[0].text == "42\n"
    assert page.metadata.papermill.parameters == {"profile": "smoke"}


def test_what_the_code_reads_is_noticed(clone: Path) -> None:
    digests = [read_digest(clone)]
    for path in ("dpgen_core/module.py", "results/record.json", "results/new.json", "data/file"):
        (clone / path).write_text("changed")
        digests.append(read_digest(clone))
    assert len(set(digests)) == len(digests)
    for path in ("results/local/run.json", "book/page.md"):  # never read by a notebook
        (clone / path).write_text("changed")
        assert read_digest(clone) == digests[-1]


def test_other_code_runs_again_and_replaces_what_was_kept(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(clone, monkeypatch)
    write(clone, "Some text.", code=CODE.replace("7", "8"))
    runs, page = built(clone, monkeypatch)
    assert runs == 1 and page.cells[3].outputs[0].text == "48\n"
    assert len(list((clone / "_build" / "notebooks").iterdir())) == 1


def test_a_notebook_that_failed_is_not_kept(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(clone, "Some text.", code="1 / 0")
    for _ in range(2):
        with pytest.raises(papermill.exceptions.PapermillExecutionError):
            built(clone, monkeypatch)
    assert not list((clone / "_build").glob("notebooks/*.ipynb"))


def test_a_folded_table_is_offered_as_a_file_whether_the_page_ran_or_was_kept(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = 'import pandas\npandas.DataFrame({"a": [1]})'
    write(clone, "Some text.", code=code, tags=("hide-cell",))
    tables = clone / "book" / "_generated" / "tables"
    for runs in (1, 0):
        tables.mkdir(parents=True, exist_ok=True)
        (tables / "of-an-older-build.csv").touch()
        found, page = built(clone, monkeypatch)
        links = [cell.source for cell in page.cells if "CSV:" in cell.source]
        assert found == runs and links == [
            "[CSV: this table](../_generated/tables/page-this-table.csv)"
        ]
        assert [path.name for path in tables.iterdir()] == ["page-this-table.csv"]
        assert (tables / "page-this-table.csv").read_text() == "a\n1\n"


def test_outputs_never_go_to_other_code() -> None:
    v4 = nbformat.v4
    old = v4.new_notebook(cells=[v4.new_code_cell("1"), v4.new_code_cell("2")])
    assert joined(v4.new_notebook(cells=[v4.new_code_cell("1")]), old) is None
    assert (
        joined(v4.new_notebook(cells=[v4.new_code_cell("2"), v4.new_code_cell("1")]), old) is None
    )
