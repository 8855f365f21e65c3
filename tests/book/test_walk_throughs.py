"""Walk-throughs: parameters first, checked before anything runs; figures say what is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext
import papermill
import pytest
import torch

from dpgen_core.checks import InvalidArgument

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# A wrong value for some parameter of each chapter.
BAD_VALUES = [
    ("privacy_from_scratch", {"delta": 2.0}),
    ("privacy_from_scratch", {"noise": 0}),
    ("whole_method", {"sampling_rate": 0}),
    ("whole_method", {"max_grad_norm": -1}),
    ("whole_method", {"noise_multiplier": 0}),
    ("whole_method", {"feedback_decay": 2}),
    ("whole_method", {"num_records": 10}),
    ("sanitization", {"num_shards": 0}),
    ("sanitization", {"rounds": 0}),
    ("losses", {"rate": 0}),
    ("losses", {"cohort": 0}),
    ("noise_injection", {"width": 6}),
    ("noise_injection", {"digit": 11}),
    ("clipping_bias", {"max_grad_norm": 0}),
    ("clipping_bias", {"bias_rounds": 0}),
    ("accounting", {"sampling_rate": 1.5}),
    ("accounting", {"delta": "1e-5"}),
    ("audit", {"runs": 5}),
    ("audit", {"noise_multiplier": 0}),
]
CHAPTERS = tuple(dict.fromkeys(name for name, _ in BAD_VALUES))


def code(chapter: str) -> list[Any]:
    cells = jupytext.read(NOTEBOOKS / f"{chapter}.ipynb").cells
    return [cell for cell in cells if cell.cell_type == "code"]


def start(chapter: str, **parameters: Any) -> None:
    """Run the first two cells: the parameters, and the one that checks them."""
    first, second = code(chapter)[:2]
    assert "parameters" in first.metadata["tags"]
    space: dict[str, Any] = {}
    exec(first.source, space)
    exec(second.source, space | parameters)


@pytest.mark.parametrize("chapter, change", BAD_VALUES, ids=str)
def test_a_wrong_value_is_refused_by_name(chapter: str, change: dict[str, Any]) -> None:
    (name,) = change
    with pytest.raises(InvalidArgument, match=f"^{name}: received .*Try "):
        start(chapter, **change)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_parameter_is_known_to_the_check_and_no_other_name(chapter: str) -> None:
    before = torch.get_default_dtype()
    start(chapter)
    with pytest.raises(InvalidArgument, match="parameter: received 'unknown'") as caught:
        start(chapter, unknown=1)
    allowed = str(caught.value).partition("one of ")[2].partition(". Try")[0].split(", ")
    assert allowed == list(papermill.inspect_notebook(str(NOTEBOOKS / f"{chapter}.ipynb")))
    assert torch.get_default_dtype() == before


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_figures_have_a_caption_and_a_sentence_that_says_what_is_seen(chapter: str) -> None:
    for cell in code(chapter):
        if "plt.show()" in cell.source:
            shown = cell.metadata.get("mystnb", {})
            assert shown.get("figure", {}).get("caption"), cell.source
            assert len(shown.get("image", {}).get("alt", "").split()) >= 8, cell.source


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_ends_with_exercises_whose_solutions_are_folded(chapter: str) -> None:
    text = (NOTEBOOKS / f"{chapter}.py").read_text()
    exercises = text.count("{admonition} Exercise")
    assert exercises >= 2
    assert text.count("{admonition} Solution\n# :class: dropdown") == exercises
    assert "After this chapter you can" in text and "\n# ## Summary\n" in text
