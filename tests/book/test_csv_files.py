"""Folded tables as files: the same cells as on the page, and a link behind each fold."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from companion.book.aggregate import captioned, indexed
from companion.book.csv_files import as_csv, offer_files

PLAIN = pd.DataFrame(
    {"method": ["efsgd", "gs-wgan"], "g2r (%)": ["85.9 ± 0.3", "n/a"], "note": ["a, 1 < 2 & c", ""]}
)


def cell(html: str, *tags: str, prompt: str | None = None) -> Any:
    output = nbformat.v4.new_output("display_data", data={"text/html": html, "text/plain": "x"})
    made = nbformat.v4.new_code_cell("table", outputs=[output])
    made.metadata["tags"] = list(tags)
    if prompt:
        made.metadata["mystnb"] = {"code_prompt_show": prompt}
    return made


@pytest.mark.parametrize(
    "html",
    [PLAIN.to_html(), PLAIN.set_index("method").to_html(), PLAIN.style.hide().to_html()],
    ids=["numbered rows", "named rows", "styled"],
)
def test_cells_are_those_of_the_page(html: str) -> None:
    read = pd.read_csv(io.StringIO(as_csv(html)), keep_default_na=False)
    pd.testing.assert_frame_equal(read, PLAIN)


def test_a_caption_is_no_row() -> None:
    table = indexed([{"method": "efsgd", "recall": "0.2"}])
    table.attrs["note"] = "The rule of the verdicts."
    assert as_csv(captioned(table).to_html()) == "method,recall\nefsgd,0.2\n"


def test_numbers_of_rows_that_mean_something_are_kept() -> None:
    table = pd.DataFrame({"epsilon": ["3"]}, index=pd.Index([0], name="seed"))
    assert as_csv(table.to_html()) == "seed,epsilon\n0,3\n"


def test_each_folded_table_has_a_file_and_a_link_behind_it(tmp_path: Path) -> None:
    folder = tmp_path / "_generated" / "tables"
    prompt = "Show quality, every run on MNIST"
    folded = cell(PLAIN.to_html(), "hide-cell", "output_scroll", prompt=prompt)
    others = [
        cell(PLAIN.to_html(), "hide-input"),  # is in full view
        cell("<b>no table</b>", "hide-cell", prompt="Show something else"),
        nbformat.v4.new_code_cell("1"),
    ]
    notebook = nbformat.v4.new_notebook(cells=[folded, *others])
    offered = offer_files(notebook, "results", folder)
    nbformat.validate(offered)
    assert [c.cell_type for c in offered.cells] == ["code", "markdown", "code", "code", "code"]
    name = "results-quality-every-run-on-mnist.csv"
    link = f"[CSV: quality, every run on MNIST](../_generated/tables/{name})"
    assert offered.cells[1].source == link
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == as_csv(PLAIN.to_html())


def test_a_page_without_folded_tables_is_left_alone(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[cell(PLAIN.to_html())])
    assert len(offer_files(notebook, "page", tmp_path / "tables").cells) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("page", ["results", "ablations", "literature"])
def test_no_two_folds_of_a_page_have_the_same_words(page: str) -> None:
    """The second would overwrite the first one's file."""
    path = Path(__file__).parents[2] / "notebooks" / f"{page}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    folded = [c for c in cells if "hide-cell" in c.metadata.get("tags", [])]
    words = [c.metadata["mystnb"]["code_prompt_show"] for c in folded]
    assert words and len(words) == len(set(words))
