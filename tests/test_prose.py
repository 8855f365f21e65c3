"""Pages type no result: figures in prose come from records, or are facts listed here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
# Decimals and percentages are what results look like. These are none.
FACTS = ("Python 3.11", "CC BY-SA 3.0", "CC BY-SA 4.0", "99.9 % confidence", "ends at 8.2 standard")
RESULT = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)|\b\d+(?:\.\d+)?\s?(?:%|percent|per cent)")


def prose(text: str) -> str:
    """Text without code, formulas, addresses and exercises (whose figures are made up)."""
    for pattern in (r"(?s):::\{admonition\}.*?:::", r"(?s)```.*?```", r"`[^`]*`"):
        text = re.sub(pattern, " ", text)
    text = re.sub(r"(?s)\$\$.*?\$\$|\$[^$]*\$|https?://\S+", " ", text)
    for fact in FACTS:
        text = text.replace(fact, " ")
    return text


def _pages() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "book").glob("*.md")):
        yield path.name, path.read_text()
    for path in NOTEBOOKS:
        cells = jupytext.read(path).cells
        yield path.name, "\n\n".join(c.source for c in cells if c.cell_type == "markdown")


@pytest.mark.parametrize("name, text", list(_pages()), ids=[name for name, _ in _pages()])
def test_no_result_is_typed(name: str, text: str) -> None:
    found = [text_around(m) for m in RESULT.finditer(prose(text))]
    assert not found, f"{name}: read these from a record: {found}"


def text_around(match: re.Match[str]) -> str:
    """A match with a little of what stands around it."""
    return match.string[max(0, match.start() - 30) : match.end() + 10]


@pytest.mark.parametrize(
    "typed", ["It reaches 0.953 on MNIST.", "an accuracy of 95 %", "95.3% of them", "by 30 percent"]
)
def test_the_check_sees_typed_results(typed: str) -> None:
    assert RESULT.search(prose(typed))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_plot_code_is_folded_and_the_rest_is_not(notebook: Path) -> None:
    for cell in jupytext.read(notebook).cells:
        if cell.cell_type != "code":
            continue
        draws = re.search(r"png_bytes|gallery\(|\bImage\(|\bplt\.", cell.source) is not None
        folded = "hide-input" in cell.metadata.get("tags", [])
        defines = re.search(r"^(def|class) ", cell.source, re.MULTILINE)
        assert not draws or folded, f"fold this figure's code:\n{cell.source}"
        assert not (folded and defines), f"show this code, or move it to the core:\n{cell.source}"
