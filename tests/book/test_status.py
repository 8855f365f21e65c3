"""The status page lists what ran, for how long, and what failed."""

from __future__ import annotations

from pathlib import Path

import nbformat
import torch

from companion.book import status
from companion.book.status import build_table, notebook_table, record_table
from companion.studies.committed import committed_records


def test_build_names_commit_and_versions() -> None:
    table = build_table().set_index("what")["value"]
    assert table["torch"] == torch.__version__.split("+")[0] or table["torch"] == torch.__version__
    assert {"commit", "built", "hardware", "python", "jupyter-book", "opacus"} <= set(table.index)


def test_notebooks_with_minutes_and_outcome(tmp_path: Path) -> None:
    for name, failed in (("good", None), ("bad", True)):
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["papermill"] = {
            "duration": 90.0,
            "exception": failed,
            "parameters": {"profile": "smoke"},
        }
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    table = notebook_table(tmp_path).set_index("notebook")
    assert table.loc["good"].tolist() == ["profile=smoke", "1.5", "ran to its end"]
    assert table.loc["bad", "outcome"] == "failed"


def test_every_committed_record_is_a_row() -> None:
    records = committed_records(Path(__file__).parents[2] / "results")
    table = record_table(records)
    assert table["record"].tolist() == [record.path.name for record in records]
    assert (table["minutes"].astype(float) > 0).all()


def test_page_is_written_for_a_clone(tmp_path: Path) -> None:
    for folder in ("book/_executed", "notebooks", "results"):
        (tmp_path / folder).mkdir(parents=True)
    status.main(["--root", str(tmp_path)])
    text = (tmp_path / "book" / "_generated" / "status.md").read_text()
    assert text.count("## ") == 3
