"""Folded tables of executed notebooks, offered as CSV files too.

The files are made from the tables as the page shows them, so that the two cannot differ. They are
written to ``book/_generated/tables`` when the book is built.
"""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat

from dpgen_core.files import write_whole

Notebook = Any  # nbformat has no types
FOLDED = "hide-cell"
_PROMPT = "Show "  # how the words on a fold begin


def offer_files(notebook: Notebook, page: str, folder: Path) -> Notebook:
    """Write each folded table of a page to a file, and put a link behind its cell, in place.

    Args:
        notebook: executed; becomes ``book/_executed/PAGE.ipynb``.
        page: its name; files are called ``PAGE-WORDS-ON-THE-FOLD.csv``.
        folder: ``book/_generated/tables``; made when there is a table.
    """
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        html = _folded_table(cell)
        if html is None:
            continue
        words = cell.metadata.get("mystnb", {}).get("code_prompt_show", "this table")
        words = words.removeprefix(_PROMPT)
        name = f"{page}-{re.sub('[^a-z0-9]+', '-', words.lower()).strip('-')}.csv"
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, as_csv(html))
        link = f"[CSV: {words}](../{folder.parent.name}/{folder.name}/{name})"
        cells.append(nbformat.v4.new_markdown_cell(link, id=f"csv-{len(cells)}"))
    notebook.cells = cells
    return notebook


def as_csv(html: str) -> str:
    r"""The table of a notebook's output, as CSV with one line of headings.

    pandas writes an index's name in a second line of headings, which is merged with the first, and
    numbers rows that have no name, which is left out.

    >>> as_csv("<table><tr><th></th><th>a</th></tr><tr><th>0</th><td>1, 2</td></tr></table>")
    'a\n"1, 2"\n'
    """
    reader = _Rows()
    reader.feed(html)
    width = max(map(len, reader.rows), default=0)
    rows = [row for row in reader.rows if len(row) == width]  # a footnote spans several cells
    heads = [row for row in rows if all(tag == "th" for tag, _ in row)]
    columns = zip(*heads, strict=True)
    title = [" ".join(text.strip() for _, text in column).strip() for column in columns]
    lines = [[text.strip() for _, text in row] for row in rows[len(heads) :]]
    if title and not title[0] and [line[0] for line in lines] == [*map(str, range(len(lines)))]:
        title, lines = title[1:], [line[1:] for line in lines]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([title, *lines])
    return out.getvalue()


def _folded_table(cell: Notebook) -> str | None:
    """The HTML of a folded cell's table; None where there is none."""
    if FOLDED not in cell.metadata.get("tags", []):
        return None
    shown = [output.get("data", {}).get("text/html", "") for output in cell.get("outputs", [])]
    return next((html for html in shown if "<table" in html), None)


class _Rows(HTMLParser):
    """Rows of cells, each its tag and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, str]]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append((tag, ""))
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, text = self.rows[-1][-1]
            self.rows[-1][-1] = (tag, text + data)
