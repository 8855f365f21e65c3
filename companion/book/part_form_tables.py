"""Other forms of the paper's parts, each against the runs without the part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from companion.book.effects import UNDECIDED, Comparison, Effect, effects, family_note
from companion.book.measures import FRECHET, G2R, RECALL
from companion.book.tables import DATASET_TITLES
from companion.book.verdicts import NAMES, listed
from companion.studies.part_forms import DATASETS, EPSILON, FORMS, NONE, runs

MEASURES = (G2R, FRECHET, RECALL)
# Forms that are compared with another than `NONE`: what differs is the part alone.
BASES = {"decay 0.5, each image clipped": "none, each image clipped"}


def form_effects(found: Mapping[str, Any]) -> list[Effect]:
    """Every form minus without the part, by data set and measure: one family.

    Args:
        found: from `load_part_forms`.
    """
    frame = runs(found)
    if frame.empty:
        return []
    pairs = [
        Comparison(dataset, f"{part}: {form}", f"{part}: {BASES.get(form, NONE)}", EPSILON)
        for part, forms in FORMS.items()
        for form in forms
        if form != NONE and form not in BASES.values()
        for dataset in DATASETS
    ]
    return effects(frame, pairs, MEASURES)


def forms_table(family: Sequence[Effect]) -> pd.DataFrame:
    """A row for each form and data set: the change of each measure, and the verdict if there is one.

    Args:
        family: from `form_effects`.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in family:
        part, form = one.method.split(": ")
        row = rows.setdefault((part, form, DATASET_TITLES[one.dataset]), {})
        word = "" if one.verdict == UNDECIDED else f", {one.verdict}"
        row[one.measure.title] = one.text() + word
        row["seeds"] = one.n
    table = pd.DataFrame.from_dict(rows, orient="index")
    if table.empty:
        return table
    table.index = pd.MultiIndex.from_tuples(table.index, names=["part", "form", "data"])
    return table[[*(measure.title for measure in MEASURES), "seeds"]].fillna("n/a")


def forms_text(family: Sequence[Effect]) -> str:
    """A Markdown list: what is decided of each part's forms, and how.

    Args:
        family: from `form_effects`.
    """
    if not family:
        return "No run is committed yet."
    lines = []
    for part in FORMS:
        words = []
        for verdict in ("better", "worse"):
            some = [e for e in family if e.verdict == verdict and e.method.startswith(f"{part}: ")]
            if some:
                said = [
                    f"`{e.method.partition(': ')[2]}` {NAMES[e.measure]} on "
                    f"{DATASET_TITLES[e.dataset]}"
                    for e in some
                ]
                words.append(f"{verdict}: {listed(said)}")
        lines.append(f"- **{part.capitalize()}**: {'; '.join(words) or 'all undecided'}.")
    return "\n".join([*lines, "", family_note(family)])
