"""The worked example as the book shows it, from made figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from companion.book.worked_example_figures import (
    CLASSES,
    example_alt,
    example_figure,
    example_table,
    example_text,
    said_text,
    statement_text,
)
from companion.studies.worked_example import SHEET_FILE, SHOWN, Step
from dpgen_core.checks import InvalidArgument
from dpgen_core.data.sets import DATASETS
from dpgen_core.records.sheets import png_bytes

STEPS = (Step(None, None), Step("scans", 10.0), Step("scans", 3.0), Step("drawings", 10.0))


def made() -> dict[str, Any]:
    """The real images at 0.9, and sets that are a tenth worse with every step."""
    found = {}
    for place, step in enumerate(STEPS):
        for repeat in (0, 1):
            again = Step(step.kind, step.epsilon, repeat)
            row = {"kind": step.kind, "epsilon": step.epsilon, "repeat": repeat}
            row |= {"accuracy": 0.9 - 0.1 * place + 0.02 * repeat}
            row |= {f"accuracy of {name}": 0.5 + 0.1 * n for n, name in enumerate(CLASSES)}
            if step.kind:
                row |= {"said": [f"{step.name()}: it carries"], "method": "gaussian"}
                row |= {"statement": f"# Of {step.name()}\n\ntext"}
                row |= {
                    "frechet_distance": 4.0 + place,
                    "recall": 0.6,
                    "spent": 2.9,
                    "seconds": 9.0,
                }
            found[again.name()] = row
    return {"steps": found}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A sheet whose rows are of one shade each, darker ones first."""
    shades = np.repeat(np.arange(6, dtype=np.uint8) * 40, 28)[:, None]  # (sets * h, 1)
    Image.fromarray(np.repeat(shades, 2 * SHOWN * 28, axis=1)).save(tmp_path / SHEET_FILE)
    return tmp_path


def test_classes_are_those_of_the_data_set() -> None:
    assert DATASETS["pneumoniamnist"].class_names == CLASSES


def test_the_table_has_means_over_runs_and_the_real_images_first() -> None:
    table = example_table(made())
    assert list(table.index) == [
        ("the real images", "none"),
        ("--kind scans", "10"),
        ("--kind scans", "3"),
        ("--kind drawings", "10"),
    ]
    assert table.loc[("--kind scans", "10"), "accuracy (%)"] == pytest.approx(81.0)
    assert table.loc[("--kind scans", "3"), "runs"] == 2
    assert table.loc[("the real images", "none"), "recall (%)"] == "n/a"


def test_words_quote_the_figures_and_leave_out_what_was_not_run() -> None:
    real, at_ten, at_three = example_text(made()).splitlines()
    assert "91 % of the test images right, 50 % of the normal ones" in real
    assert at_ten.startswith("- At epsilon 10 one") and "has 81 % right" in at_ten
    assert at_ten.endswith("`--kind drawings`, made for another kind of image, 61 %, 60 % and 7.0.")
    assert "has 71 % right" in at_three and at_three.endswith("60 % of the others.")


def test_the_report_is_that_of_the_right_kind_at_epsilon_three() -> None:
    assert said_text(made()).splitlines()[1] == f"{STEPS[2].name()}: it carries"
    assert statement_text(made()) == f"**Of {STEPS[2].name()}**\n\ntext"


def test_each_row_of_the_figure_is_the_set_it_names(results: Path) -> None:
    figure = example_figure(results)
    labels = [axes.get_yticklabels()[0].get_text() for axes in figure.axes]
    assert labels == [*(f"scans\nepsilon {e:g}" for e in (10, 3, 1)), "drawings\nepsilon 10"]
    shades = [int(axes.images[0].get_array()[0, 0]) for axes in figure.axes]
    assert shades == [0, 40, 80, 120]
    assert png_bytes(figure).startswith(b"\x89PNG")
    assert "scans at epsilon 10, scans at epsilon 3" in example_alt()


def test_a_missing_sheet_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"companion\.studies\.worked_example"):
        example_figure(tmp_path)
