"""The answers of the introduction: what each of the paper's parts buys, and the best at epsilon 1.

`includes` writes them to ``book/_generated/verdicts.md``. Each is a paragraph with an anchor of its
own, and its words follow the records.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from companion.book.effects import Comparison, Effect, effects, family_note, mean_interval
from companion.book.measures import FRECHET, G2R, PRECISION, RECALL
from companion.book.tables import DATASET_TITLES, runs_frame
from companion.studies.campaign import PAPER_SWITCHES
from dpgen_core.config.presets import WHOLE
from dpgen_core.records.record import Record

# The paper's parts: what each is called in a sentence, and the switch that leaves it out.
_PARTS = ("error feedback", "the reconstruction loss", "noise injection")
PAPER_PARTS = tuple(zip(_PARTS, PAPER_SWITCHES, strict=True))
PART_MEASURES = (G2R, FRECHET, RECALL)
BUDGET = 10.0  # epsilon at which parts are compared
NAMES = {G2R: "g2r", FRECHET: "Frechet distance", PRECISION: "precision", RECALL: "recall"}
_DATASETS = ("mnist", "fashion_mnist")


def part_effects(records: Sequence[Record]) -> list[Effect]:
    """`efsgd` whole minus without a part, for each of the paper's parts: one family.

    Args:
        records: from `committed_records`.
    """
    pairs = [
        Comparison(dataset, "efsgd", f"efsgd/{switch}", BUDGET)
        for _, switch in PAPER_PARTS
        for dataset in _DATASETS
    ]
    return effects(runs_frame(records), pairs, PART_MEASURES)


def verdicts(records: Sequence[Record]) -> str:
    """Paragraphs in MyST: each part behind an anchor ``answer-NAME``, the rule, the best at 1."""
    family = part_effects(records)
    out = []
    for name, switch in PAPER_PARTS:
        anchor = name.removeprefix("the ").replace(" ", "-")
        link = "{ref}`See the figure <what-each-part-buys>`."
        out.append(f"(answer-{anchor})=\n{_part(name, switch, family)} {link}\n")
    out.append(f"{family_note(family)}\n")
    out.append(f"(answer-best-at-one)=\n{best_at_one(runs_frame(records))}\n")
    return "\n".join(out)


def answers(family: Sequence[Effect]) -> str:
    """A Markdown list: the verdict on each part with its intervals, and the rule.

    Args:
        family: from `part_effects`.
    """
    parts = [f"- {_part(name, switch, family)}" for name, switch in PAPER_PARTS]
    return "\n".join([*parts, "", family_note(family), ""])


def short_answers(family: Sequence[Effect]) -> str:
    """One line of Markdown: the verdict on each part, without figures."""
    found = [
        f"**{name.removeprefix('the ').capitalize()}**: {summary(_of(switch, family))}."
        for name, switch in PAPER_PARTS
    ]
    return " ".join(found)


def summary(of_part: Sequence[Effect]) -> str:
    """The verdicts on one part in a few words, as "Only its cost is decided: worse recall on MNIST"."""
    good, bad = (_where(e for e in of_part if e.verdict == word) for word in ("better", "worse"))
    if good and bad:
        return f"At a price: better {good}, but worse {bad}"
    if good:
        return f"Yes: better {good}"
    if bad:
        return f"Only its cost is decided: worse {bad}"
    return "Undecided"


def _where(found: Iterable[Effect]) -> str:
    """Measures and data sets, each said once: "recall on MNIST and Fashion-MNIST"."""
    datasets: dict[str, list[str]] = {}  # by measure
    for effect in found:
        datasets.setdefault(NAMES[effect.measure], []).append(DATASET_TITLES[effect.dataset])
    measures: dict[tuple[str, ...], list[str]] = {}  # by data sets
    for measure, where in datasets.items():
        measures.setdefault(tuple(where), []).append(measure)
    return listed([f"{listed(some)} on {listed(where)}" for where, some in measures.items()])


def _part(name: str, switch: str, family: Sequence[Effect]) -> str:
    of_part = _of(switch, family)
    if not of_part:
        return f"**Does {name} help?** No record is committed yet."
    changes = []
    for measure in PART_MEASURES:
        found = [
            f"{e.text()} on {DATASET_TITLES[e.dataset]}" for e in of_part if e.measure == measure
        ]
        changes.append(f"{NAMES[measure]} by {listed(found)}")
    return (
        f"**Does {name} help?** {summary(of_part)}. At epsilon {BUDGET:g} it changes "
        f"{'; '.join(changes)} (in parentheses: 95 % interval)."
    )


def _of(switch: str, family: Sequence[Effect]) -> list[Effect]:
    return [effect for effect in family if effect.base == f"efsgd/{switch}"]


def best_at_one(runs: pd.DataFrame) -> str:
    """The highest mean g2r at epsilon 1 of each data set, and that of real data."""
    question = "**What is the best accuracy at epsilon 1?**"
    found = []
    for dataset in (*_DATASETS, "celeba"):
        rows = runs[(runs["dataset"] == dataset) & runs["method"].isin(list(WHOLE))]
        rows = rows[rows["target_epsilon"] == 1.0]
        if rows.empty:
            continue
        best = rows.groupby("method")["g2r_cnn"].mean().idxmax()
        values = rows.loc[rows["method"] == best, "g2r_cnn"]
        real = runs.loc[runs["dataset"] == dataset, "real_cnn"].mean()
        found.append(
            f"{DATASET_TITLES[dataset]} {_with_interval(values)} by `{best}`"
            + ("" if math.isnan(real) else f", where real images give {real:.1f} %")
        )
    if not found:
        return f"{question} No record is committed yet."
    return (
        f"{question} By g2r, the accuracy on real test images of a classifier trained on generated "
        f"ones: {'; '.join(found)}. {{ref}}`All methods and budgets <results>`."
    )


def _with_interval(values: pd.Series) -> str:
    mean, low, high = mean_interval(values.tolist())
    inside = f"n = {len(values)}"
    if not math.isnan(low):
        inside = f"95 % interval {low:.1f} to {high:.1f}, {inside}"
    return f"{mean:.1f} % ({inside})"


def listed(words: Sequence[str]) -> str:
    """Words with commas and "and"."""
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"
