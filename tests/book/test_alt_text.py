"""Text made with a picture reaches the cell's metadata, where the book's renderer looks for it."""

from __future__ import annotations

import io

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from companion.book.alt_text import keep_alt, shown
from dpgen_core.checks import InvalidArgument
from dpgen_core.records.sheets import new_figure


def test_a_picture_carries_its_text_to_the_cell() -> None:
    picture = shown(new_figure(1.0, 0.5), "A blank page.", colors=2)
    with Image.open(io.BytesIO(picture.data)) as drawn:
        assert drawn.size == (120, 60) and drawn.mode == "P"
    data, metadata = DisplayFormatter().format(picture)  # as a notebook keeps it
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    cells = [nbformat.v4.new_code_cell("a", outputs=[output]), nbformat.v4.new_code_cell("b")]
    cells[0].metadata["mystnb"] = {"figure": {"name": "fig"}, "image": {"alt": "typed"}}
    first, second = keep_alt(nbformat.v4.new_notebook(cells=cells)).cells
    assert first.metadata.mystnb == {"figure": {"name": "fig"}, "image": {"alt": "A blank page."}}
    assert "mystnb" not in second.metadata


def test_one_word_is_no_sentence() -> None:
    with pytest.raises(InvalidArgument, match="a sentence"):
        shown(new_figure(1.0, 0.5), "figure")
