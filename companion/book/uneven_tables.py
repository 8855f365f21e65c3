"""What the owners' memory is worth where records lie unevenly, over paired seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from companion.book.effects import Comparison, Effect, effects, family_note
from companion.book.measures import FRECHET, G2R, RECALL, Measure
from companion.book.tables import DATASET_TITLES
from companion.book.verdicts import listed
from companion.studies.uneven_data import (
    CASES,
    DATASETS,
    EPSILON,
    METHODS,
    RARE,
    SEEDS,
    SKEWED,
    points,
    runs,
)

WATCHED_G2R = Measure("g2r_watched", "g2r of one class (%)", 1, True)
WATCHED_RECALL = Measure("recall_watched", "recall of one class", 2, True)
MEASURES = (G2R, FRECHET, RECALL, WATCHED_G2R, WATCHED_RECALL)


def uneven_effects(found: Mapping[str, Any]) -> list[Effect]:
    """With the memory minus without it, by case, data set and measure: one family.

    Args:
        found: from `load_uneven_data`.
    """
    frame = runs(found)
    if frame.empty:
        return []
    pairs = [
        Comparison(dataset, f"{case}: {METHODS[0]}", f"{case}: {METHODS[1]}", EPSILON)
        for case in CASES
        for dataset in DATASETS
    ]
    return effects(frame, pairs, MEASURES, planned=len(SEEDS))


def uneven_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each case and data set: what the memory changes, with interval and verdict.

    Args:
        found: from `load_uneven_data`.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for one in uneven_effects(found):
        where = one.method.partition(": ")[0], DATASET_TITLES[one.dataset]
        rows.setdefault(where, {"seeds": str(one.n)})[one.measure.title] = (
            f"{one.text()}, {one.verdict}"
        )
    return pd.DataFrame.from_dict(rows, orient="index")


def uneven_text(family: Sequence[Effect]) -> str:
    """What the memory changes in g2r: of all classes, and of the rare one where there is one.

    Args:
        family: from `uneven_effects`.
    """
    shown = {SKEWED: (G2R, "g2r"), RARE: (WATCHED_G2R, "g2r of that class")}
    said = []
    for case, (measure, name) in shown.items():
        some = [e for e in family if e.method.startswith(case) and e.measure == measure]
        texts = [f"{DATASET_TITLES[e.dataset]} {e.text()}" for e in some]
        said += [f"{case}, {name}: {listed(texts)}"] if texts else []
    return "; ".join(said)


def uneven_report(found: Mapping[str, Any]) -> str:
    """How many runs of the study there are, and the rule of its verdicts; Markdown.

    Args:
        found: from `load_uneven_data`.
    """
    made, planned = len(found.get("points", {})), len(list(points()))
    family = uneven_effects(found)
    note = f" {family_note(family)}" if family else ""
    return f"Of its {planned} runs {made} are committed.{note}"
