"""Conclusions from the records: tables and sentences whose figures and verdicts are computed.

A sentence appears only when its records exist, and its verdict follows their figures by the rule of
`effects`. The paper's own parts have a figure and `verdicts` of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from types import MappingProxyType

import pandas as pd

from companion.book.aggregate import cell, indexed, judged, noted, settings
from companion.book.effects import (
    Comparison,
    Effect,
    effects,
    family_note,
    mean_interval,
    signed,
)
from companion.book.measures import FRECHET, G2R
from companion.book.tables import DATASET_TITLES, MISSING, runs_frame
from companion.book.verdicts import NAMES
from companion.studies.campaign import NON_PRIVATE
from dpgen_core.config.presets import EXTRAS, WHOLE
from dpgen_core.records.record import Record

OURS = ("efsgd-prior", "efsgd", "gaussian", "mixture", *EXTRAS)
# Targets set before anything was run: g2r (CNN, percent, mean of three seeds), floor and goal. None
# stands for the best of ours, a name for that method with or without a switch of `OURS`.
TARGETS: Mapping[tuple[str, float, str | None], tuple[float, float]] = MappingProxyType(
    {
        ("mnist", 10.0, None): (95.0, 97.5),
        ("mnist", 1.0, None): (93.0, 95.5),
        ("fashion_mnist", 10.0, None): (80.0, 86.0),
        ("fashion_mnist", 1.0, None): (76.0, 82.0),
        ("celeba", 10.0, None): (78.0, 90.0),
        ("celeba", 1.0, None): (76.0, 84.0),
        ("mnist", 10.0, "efsgd"): (88.0, 95.0),
        ("fashion_mnist", 10.0, "efsgd"): (70.0, 80.0),
    }
)
# The whole with a prior without one part, no noise, and the lineage's settings against ours.
_ON_PRIOR, _PRESETS = "efsgd-prior", ("gs-wgan", "dp-gan-dpac")
_SHOWN = ("mnist", "fashion_mnist")


def targets_table(records: Sequence[Record]) -> pd.DataFrame:
    """The targets beside what was reached: g2r of the CNN in percent, mean over seeds."""
    table, rows = settings(records), []
    for (dataset, epsilon, method), (floor, goal) in TARGETS.items():
        able = [name for name in OURS if method in (None, name.partition("/")[0])]
        found = _rows(table, dataset, epsilon, able)
        if found.empty:
            continue
        best = _best(found)
        reached = float(best["g2r_cnn"])
        rows.append(
            {
                "data set": DATASET_TITLES[dataset],
                "epsilon": f"{epsilon:g}",
                "asked of": method or "the best of ours",
                "by": best["method"],
                "g2r CNN (%)": cell(best, "g2r_cnn", 1),
                "runs": int(best["runs"]),
                "floor": f"{floor:g}",
                "goal": f"{goal:g}",
                "reached": "goal" if reached >= goal else "floor" if reached >= floor else "no",
            }
        )
    return indexed(rows, "data set")


def rounds_table(records: Sequence[Record], *, ours: str = "efsgd-prior") -> pd.DataFrame:
    """What the rounds add: `ours` against each one-shot release at the same total budget.

    A release that has the switch of `ours` is compared with it on: otherwise the effect of frames
    or colors would be credited to the rounds.
    """
    switched = ((base, ours.replace("efsgd-prior", base)) for base in ("gaussian", "mixture"))
    return compared_table(records, ours, *(n if n in WHOLE else base for base, n in switched))


def switched_table(records: Sequence[Record], *methods: str) -> pd.DataFrame:
    """The effect of a switch: each of `methods` against itself without the switch.

    Args:
        records: from `committed_records`.
        methods: names with a switch, as ``"mixture/with-frame"``.
    """
    return _against(records, [(name, name.partition("/")[0]) for name in methods])


def compared_table(records: Sequence[Record], method: str, *others: str) -> pd.DataFrame:
    """One method against each of `others` at the same budget."""
    return _against(records, [(method, other) for other in others])


def _against(records: Sequence[Record], pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The first method of each pair against the second at the same budget, with verdicts."""
    runs, table, rows = runs_frame(records), settings(records), []
    asked = [
        Comparison(dataset, ours, base, epsilon)
        for ours, base in pairs
        for dataset in DATASET_TITLES
        for epsilon in (10.0, 1.0)
    ]
    family = effects(runs, asked, (G2R, FRECHET))
    found = {(_pair(effect), effect.measure): effect for effect in family}
    for pair in asked:
        accuracy, distance = (found.get((pair, measure)) for measure in (G2R, FRECHET))
        if accuracy is None:
            continue
        one, theirs = (
            _rows(table, pair.dataset, pair.epsilon, [name]).iloc[0] for name in pair[1:3]
        )
        rows.append(
            {
                "against": pair.base,
                "data set": DATASET_TITLES[pair.dataset],
                "epsilon": f"{pair.epsilon:g}",
                G2R.title: judged(accuracy),
                FRECHET.title: MISSING if distance is None else judged(distance),
                "recall": f"{theirs['recall']:.2f} to {one['recall']:.2f}",
                "seeds": str(accuracy.n),
            }
        )
    return noted(indexed(rows, "against"), family)


def _pair(effect: Effect) -> Comparison:
    return Comparison(effect.dataset, effect.method, effect.base, effect.epsilon)


def conclusions(records: Sequence[Record]) -> str:
    """A Markdown list: the worth of each part, the cost of noise, the distance to the ceiling."""
    found = [f"- {sentence}" for sentence in _sentences(records)]
    return "\n".join(found) + "\n" if found else "No record is committed yet.\n"


def _sentences(records: Sequence[Record]) -> Iterator[str]:
    table, runs = settings(records), runs_frame(records)
    family = effects(runs, _comparisons(table), (G2R, FRECHET))
    by_pair: dict[Comparison, list[Effect]] = {}
    for effect in family:
        by_pair.setdefault(_pair(effect), []).append(effect)
    for dataset in _SHOWN:
        yield from _parts(by_pair, dataset)
    yield from _clipping(records)
    for dataset in _SHOWN:
        yield from _noise(runs, dataset)
        yield from _presets(by_pair, table, dataset)
    yield from _ceiling(records, table)
    if family:
        yield f"**The rule.** {family_note(family)}"


def _comparisons(table: pd.DataFrame) -> list[Comparison]:
    """All that the sentences compare: one family."""
    found = []
    for dataset in _SHOWN:
        at_ten = [str(name) for name in _at(table, dataset, 10.0)["method"]]
        parts = [name for name in at_ten if name.startswith(f"{_ON_PRIOR}/no-")]
        found += [Comparison(dataset, _ON_PRIOR, name, 10.0) for name in parts]
        found += [Comparison(dataset, name, "efsgd", 10.0) for name in _PRESETS]
    return found


def _parts(by_pair: Mapping[Comparison, Sequence[Effect]], dataset: str) -> Iterator[str]:
    """What each part buys on top of the prior, by accuracy and by distance."""
    parts = [
        f"{pair.base.removeprefix(_ON_PRIOR + '/no-').replace('-', ' ')}: {_change(changes)}"
        for pair, changes in by_pair.items()
        if (pair.dataset, pair.method) == (dataset, _ON_PRIOR)
    ]
    if parts:
        yield (
            f"**On top of the prior**, in `{_ON_PRIOR}` on {DATASET_TITLES[dataset]} at epsilon "
            f"10, each part buys, with minus without: {'; '.join(parts)}."
        )


def _clipping(records: Sequence[Record]) -> Iterator[str]:
    """How large the clipping bias is, and what the memory does to it."""
    owners = [
        r
        for r in records
        if r.config.privacy.learner == "owners" and "clip_cosine" in r.diagnostics
    ]
    for memory, title, what in (
        (False, "The effect of the clip", "the clip alone leaves"),
        (True, "The effect of the memory", "clip and memory together leave"),
    ):
        tables = [
            r.diagnostics for r in owners if bool(r.config.contribution.feedback_decay) is memory
        ]
        if not tables:
            continue
        cosines = [float(table["clip_cosine"].median()) for table in tables]
        spread = median(float(table["norm_spread"].median()) for table in tables)
        yield (
            f"**{title}.** Over {len(tables)} runs {what} the sum of contributions at a cosine of "
            f"{min(cosines):.4f} to {max(cosines):.4f} to what owners wanted to send (medians over "
            f"rounds). The owners' norms differ by {spread:.0%} (standard deviation over mean)."
        )


def _noise(runs: pd.DataFrame, dataset: str) -> Iterator[str]:
    """What is gained without noise. The budgets differ by design, so there is no verdict."""
    rows = runs[runs["dataset"] == dataset]
    for method in ("efsgd", "efsgd-prior"):
        free, noisy = (
            rows[(rows["method"] == method) & (rows["target_epsilon"] == epsilon)]
            .set_index(["profile", "seed"])["g2r_cnn"]
            .dropna()
            for epsilon in (NON_PRIVATE, 10.0)
        )
        gain, low, high = mean_interval((free - noisy).dropna().tolist())
        if gain != gain:
            continue
        inside = "" if low != low else f", 95 % interval {signed(low, 1)} to {signed(high, 1)}"
        yield (
            f"**The cost of noise** for `{method}` on {DATASET_TITLES[dataset]}: next to none "
            f"gives g2r {free.mean():.1f} %, epsilon 10 gives {noisy.mean():.1f} % "
            f"({signed(gain, 1)}{inside}, n = {len((free - noisy).dropna())})."
        )


def _presets(
    by_pair: Mapping[Comparison, Sequence[Effect]], table: pd.DataFrame, dataset: str
) -> Iterator[str]:
    """What the lineage's settings reach under a valid accounting, compared with ours."""
    figures = []
    for name in _PRESETS:
        changes = by_pair.get(Comparison(dataset, name, "efsgd", 10.0))
        if not changes:
            continue
        row, ours = (_rows(table, dataset, 10.0, [each]).iloc[0] for each in (name, "efsgd"))
        figures.append(
            f"`{name}` reaches g2r {row['g2r_cnn']:.1f} % at a recall of {row['recall']:.2f}; "
            f"against `efsgd`, with a recall of {ours['recall']:.2f}: {_change(changes)}"
        )
    if figures:
        yield (
            f"**The lineage's settings under a valid accounting**, on {DATASET_TITLES[dataset]} at "
            f"epsilon 10. {'. '.join(figures)}."
        )


def _change(changes: Sequence[Effect]) -> str:
    """How one method differs from another, with intervals and verdicts."""
    return " and ".join(f"{NAMES[one.measure]} {judged(one)}" for one in changes)


def _ceiling(records: Sequence[Record], table: pd.DataFrame) -> Iterator[str]:
    """The accuracy of a classifier trained on the real records."""
    every = runs_frame(records)
    for dataset, title in DATASET_TITLES.items():
        found = _rows(table, dataset, 10.0, list(OURS))
        if found.empty:
            continue
        best, ceiling = _best(found), every[every["dataset"] == dataset]["real_cnn"].mean()
        if ceiling != ceiling:
            continue
        yield (
            f"**The distance to the ceiling on {title}**: a classifier trained on real records "
            f"gets {ceiling:.1f} %, one trained on the best of ours at epsilon 10, "
            f"`{best['method']}`, {best['g2r_cnn']:.1f} %."
        )


def _at(table: pd.DataFrame, dataset: str, epsilon: float) -> pd.DataFrame:
    return table[(table["dataset"] == dataset) & (table["target_epsilon"] == epsilon)]


def _rows(
    table: pd.DataFrame, dataset: str, epsilon: float, methods: Sequence[str]
) -> pd.DataFrame:
    chosen = _at(table, dataset, epsilon)
    return chosen[chosen["method"].isin(list(methods))]


def _best(rows: pd.DataFrame) -> pd.Series:
    """The row with the highest g2r."""
    return rows.sort_values("g2r_cnn", ascending=False).iloc[0]
