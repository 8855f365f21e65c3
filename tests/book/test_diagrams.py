"""Schematics follow the theme, say in words what they show, and stand on a page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from companion.book.diagrams import diagram
from dpgen_core.checks import InvalidArgument

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "book" / "_static").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


def by_name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_a_schematic_has_a_title_and_sentences(path: Path) -> None:
    svg = ElementTree.fromstring(path.read_text())
    title, words = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert title is not None and words is not None
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == f"{title.get('id')} {words.get('id')}"
    assert len((words.text or "").split()) >= 15 and (words.text or "").endswith(".")


def test_no_two_schematics_share_an_id() -> None:
    """Two may stand on one page."""
    ids = [found for path in FILES for found in re.findall(r'\bid="([^"]+)"', path.read_text())]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_colors_are_those_of_the_theme(path: Path) -> None:
    """Colors stand in the four variables, for light and dark; all else refers to them."""
    text = path.read_text()
    style = re.search("<style>(.+?)</style>", text, re.DOTALL)
    assert style is not None and "prefers-color-scheme: dark" in style[1]
    variables = r"--dgm-\w+: var\(--pst-[\w-]+, #[0-9a-f]{3,6}\)"
    assert len(re.findall(variables, text)) == 8
    assert not re.findall("#[0-9a-f]{3,6}", re.sub(variables, "", text))


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_a_schematic_stands_on_one_page(path: Path) -> None:
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    ways = (f":file: _static/{path.name}\n", f'diagram("{path.stem}")')
    shown = [page.name for page in pages if any(way in page.read_text() for way in ways)]
    assert len(shown) == 1


def test_a_notebook_gets_the_file_in_a_box_that_can_be_scrolled() -> None:
    html = diagram("memory").data
    assert (ROOT / "book/_static/memory.svg").read_text() in html
    assert 'tabindex="0" aria-label="Error feedback at an owner, diagram"' in html


def test_an_unknown_schematic_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="name: received 'memry'.*memory"):
        diagram("memry")
