"""The worked example as the book shows it: what `check` said, the pictures, and accuracy by class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from companion.book.pages import bold_headings
from companion.studies.worked_example import (
    EPSILONS,
    KINDS,
    SHEET_FILE,
    SHOWN,
    Step,
    means,
    recommended,
    shown_images,
)
from dpgen_core.checks import require
from dpgen_core.records.sheets import new_figure

CLASSES = ("normal", "pneumonia")
_COLUMNS = {
    "accuracy": "accuracy (%)",
    "accuracy of normal": "of normal (%)",
    "accuracy of pneumonia": "of pneumonia (%)",
    "frechet_distance": "Frechet distance",
    "recall": "recall (%)",
    "n": "runs",
}
_SHARES = ("accuracy", "accuracy of normal", "accuracy of pneumonia", "recall")


def said_text(found: Mapping[str, Any]) -> str:
    """What `check` printed, as a Markdown block.

    Args:
        found: from `load_worked_example`.
    """
    return "\n".join(["```text", *recommended(found)["said"], "```"])


def statement_text(found: Mapping[str, Any]) -> str:
    """The statement in the folder that was to be handed over, its headings in bold.

    Args:
        found: from `load_worked_example`.
    """
    return bold_headings(recommended(found)["statement"])


def example_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """Accuracy of what learned from each set, on test images; means over runs, the real images first.

    Args:
        found: from `load_worked_example`.
    """
    rows = means(found)
    rows[list(_SHARES)] *= 100
    rows["learned from"] = [_set(kind) for kind in rows["kind"]]
    rows["epsilon"] = [f"{value:g}" if value == value else "none" for value in rows["epsilon"]]
    table = rows.set_index(["learned from", "epsilon"])[list(_COLUMNS)].rename(columns=_COLUMNS)
    return table.round(1).astype({"runs": int}).astype(object).fillna("n/a")


def _set(kind: object) -> str:
    return f"--kind {kind}" if isinstance(kind, str) else "the real images"


def example_text(found: Mapping[str, Any]) -> str:
    """A Markdown list: what the set is good for, by budget, and what another kind would have cost."""
    rows = means(found)
    (real,) = rows[rows["epsilon"].isna()].to_dict("records")
    lines = [
        f"- A classifier that learned from the real images has {_percent(real['accuracy'])} of the test "
        f"images right, {_percent(real['accuracy of normal'])} of the normal ones: the test images are "
        "of other children, and of the training images most show pneumonia."
    ]
    for epsilon in EPSILONS:
        ours, other = (_row(rows, kind, epsilon) for kind in KINDS)
        if not ours:
            continue
        line = (
            f"- At epsilon {epsilon:g} one that learned from synthetic images has "
            f"{_percent(ours['accuracy'])} right, {_percent(ours['accuracy of normal'])} of the normal "
            f"and {_percent(ours['accuracy of pneumonia'])} of the others"
        )
        if other:
            line += (
                f", with a recall of {_percent(ours['recall'])} and a Frechet distance of "
                f"{ours['frechet_distance']:.1f}; with `--kind {KINDS[1]}`, made for another kind of "
                f"image, {_percent(other['accuracy'])}, {_percent(other['recall'])} and "
                f"{other['frechet_distance']:.1f}"
            )
        lines.append(line + ".")
    return "\n".join(lines)


def example_figure(results: Path) -> Figure:
    """The first images of each class at each budget, a row each, by both kinds of prior.

    Args:
        results: the folder that holds `SHEET_FILE`.
    """
    path, rows = results / SHEET_FILE, _shown_steps()
    fix = "python -m companion.studies.worked_example"
    require(path.is_file(), "results", str(results), f"a folder with {SHEET_FILE}", fix)
    figure = new_figure(7.2, 0.35 + 0.48 * len(rows))
    for place, step in enumerate(rows):
        axes = figure.add_subplot(len(rows), 1, place + 1)
        images = shown_images(path, step)  # (classes * SHOWN, h, w), class by class
        gap = np.full((images.shape[1], images.shape[2] // 4), 255, np.uint8)
        parts = [np.concatenate([*half], axis=1) for half in np.split(images, len(CLASSES))]
        strip = np.concatenate([parts[0], gap, parts[1]], axis=1)
        axes.imshow(strip, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_yticks(
            [strip.shape[0] / 2], [f"{step.kind}\nepsilon {step.epsilon:g}"], fontsize=9
        )
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if place == 0:
            width, wide = parts[0].shape[1], strip.shape[1]
            for name, middle in zip(CLASSES, (width / 2, wide - width / 2), strict=True):
                axes.text(middle, -3, name, ha="center", va="bottom", fontsize=10)
    return figure


def example_alt() -> str:
    """What is seen in `example_figure`."""
    rows = ", ".join(f"{step.kind} at epsilon {step.epsilon:g}" for step in _shown_steps())
    return (
        f"Synthetic chest X-rays, {SHOWN} normal ones and {SHOWN} with pneumonia in each row: {rows}. "
        "Dark lungs left and right of a light spine can be made out where they are normal; they blur with "
        "less budget. The prior for drawings makes contrasts far too strong."
    )


def _shown_steps() -> list[Step]:
    kinds = [(KINDS[0], epsilon) for epsilon in EPSILONS] + [(KINDS[1], EPSILONS[0])]
    return [Step(kind, epsilon) for kind, epsilon in kinds]


def _row(rows: pd.DataFrame, kind: str, epsilon: float) -> dict[Any, Any]:
    some = rows[(rows["kind"] == kind) & (rows["epsilon"] == epsilon)]
    return some.iloc[0].to_dict() if len(some) else {}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
