"""Other forms of the paper's parts, each against the runs without the part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from companion.book.effects import Comparison, Effect, effects, family_note
from companion.book.measures import FRECHET, G2R, PRECISION, RECALL, Measure
from companion.book.tables import DATASET_TITLES
from companion.book.verdicts import NAMES, listed
from companion.studies.part_forms import DATASETS, EPSILON, FORMS, NONE, SEEDS, points, runs

# Quality, then what the part is said to give or take.
MEASURES = {
    "reconstruction": (G2R, FRECHET, RECALL),
    "error feedback": (G2R, FRECHET, RECALL),
    "noise injection": (FRECHET, RECALL, PRECISION),
}
# In percent of that of real images. It is shown and never judged: more of it may be noise.
DETAIL = Measure("detail", "fine detail (%)", 0, True)
SHOWN = (G2R, FRECHET, RECALL, PRECISION, DETAIL)
UNTESTED = "untested"
# Forms that are compared with another than `NONE`: what differs is the part alone.
BASES = {"decay 0.5, each image clipped": "none, each image clipped"}


def form_effects(found: Mapping[str, Any], part: str) -> list[Effect]:
    """Every form of a part minus without it, by data set and measure: one family.

    Args:
        found: from `load_part_forms`.
        part: of `FORMS`.
    """
    frame = runs(found)
    if frame.empty:
        return []
    pairs = [
        Comparison(dataset, f"{part}: {form}", f"{part}: {BASES.get(form, NONE)}", EPSILON)
        for form in FORMS[part]
        if form != NONE and form not in BASES.values()
        for dataset in DATASETS
    ]
    return effects(frame, pairs, MEASURES[part], planned=len(SEEDS))


def forms_table(found: Mapping[str, Any], dataset: str) -> pd.DataFrame:
    """A row for each form that was run on a data set, in the order of `FORMS`; means over its seeds.

    Args:
        found: from `load_part_forms`.
        dataset: of `DATASETS`.
    """
    frame = runs(found)
    if frame.empty or dataset not in set(frame["dataset"]):
        return pd.DataFrame()
    grouped = frame[frame["dataset"] == dataset].groupby(["part", "form"], sort=False)
    shown = {m.title: grouped[m.column].mean().map(f"{{:.{m.digits}f}}".format) for m in SHOWN}
    table = pd.DataFrame({"seeds": grouped.size()} | shown)
    return table.loc[[(p, f) for p, forms in FORMS.items() for f in forms if (p, f) in table.index]]


def forms_answer(found: Mapping[str, Any]) -> str:
    """A paragraph in MyST behind the anchor ``answer-other-forms``: which forms help, and by how much.

    A form that is not tested on every data set is said to be so.

    Args:
        found: from `load_part_forms`.
    """
    said = []
    for part in FORMS:
        family = form_effects(found, part)
        for form, words in words_by_form(family).items():
            if "better" not in words or "worse" in words:
                continue
            changes = [
                f"{NAMES[e.measure]} by {e.text()} on {DATASET_TITLES[e.dataset]}"
                for e in family
                if e.method == f"{part}: {form}" and e.n > 1
            ]
            where = ", where it was tested so far" if UNTESTED in words else ""
            verdict = f"in the form `{form}` {part} makes something better and nothing worse{where}"
            said.append(f"{verdict}. It changes {listed(changes)}. {family_note(family)}")
    text = " ".join(s[0].upper() + s[1:] for s in said) or "Of no form is that decided yet."
    head = "**Does another form of a part help?**"
    return f"(answer-other-forms)=\n{head} {text} {{ref}}`All forms <other-forms>`.\n"


def forms_report(found: Mapping[str, Any]) -> str:
    """How many runs of the study there are, and what they decide of each part; Markdown.

    Args:
        found: from `load_part_forms`.
    """
    there = [point.name() in found.get("points", {}) for point in points()]
    families = (form_effects(found, part) for part in FORMS)
    said = [forms_text(family) for family in families if family]
    return "\n\n".join([f"Of its {len(there)} runs {sum(there)} are committed.", *said])


def words_by_form(family: Sequence[Effect]) -> dict[str, set[str]]:
    """The verdicts on each form, over data sets and measures; `UNTESTED` where seeds are missing.

    Args:
        family: from `form_effects`.
    """
    by_form: dict[str, set[str]] = {}
    for one in family:
        word = UNTESTED if math.isnan(one.p_holm) else one.verdict
        by_form.setdefault(one.method.partition(": ")[2], set()).add(word)
    whole = len(DATASETS) * len({one.measure for one in family})
    for form, words in by_form.items():
        if sum(one.method.endswith(f": {form}") for one in family) < whole:
            words.add(UNTESTED)
    return by_form


def forms_text(family: Sequence[Effect]) -> str:
    """Two sentences of Markdown: what is decided of a part's forms, and how.

    Args:
        family: from `form_effects`, not empty.
    """
    words = []
    for verdict in ("better", "worse"):
        said = [
            f"`{e.method.partition(': ')[2]}` {NAMES[e.measure]} on {DATASET_TITLES[e.dataset]}"
            for e in family
            if e.verdict == verdict
        ]
        if said:
            words.append(f"{verdict}: {listed(said)}")
    part = family[0].method.partition(":")[0]
    return f"**{part.capitalize()}**: {'; '.join(words) or 'all undecided'}. {family_note(family)}"
