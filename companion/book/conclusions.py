"""Conclusions from the records: tables and sentences whose figures and verdicts are computed.

A sentence appears only when its records exist, and its verdict follows their figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from types import MappingProxyType

import pandas as pd

from companion.book.aggregate import cell, indexed, settings, verdict
from companion.book.tables import DATASET_TITLES, runs_frame
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
_G2R, _FRECHET = ("g2r_cnn", True), ("frechet_distance", False)


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
    table, rows = settings(records), []
    for ours, base in pairs:
        for dataset in DATASET_TITLES:
            for epsilon in (10.0, 1.0):
                found = [_rows(table, dataset, epsilon, [name]) for name in (ours, base)]
                if any(row.empty for row in found):
                    continue
                one, theirs = (row.iloc[0] for row in found)
                accuracy, by_accuracy = verdict(one, theirs, *_G2R)
                distance, by_distance = verdict(one, theirs, *_FRECHET)
                share = distance / float(theirs["frechet_distance"])
                rows.append(
                    {
                        "against": base,
                        "data set": DATASET_TITLES[dataset],
                        "epsilon": f"{epsilon:g}",
                        "g2r CNN (%)": f"{accuracy:+.1f}, {by_accuracy}",
                        "Frechet distance": f"{distance:+.1f} ({share:+.0%}), {by_distance}",
                        "recall": f"{theirs['recall']:.2f} to {one['recall']:.2f}",
                        "runs": f"{int(one['runs'])} and {int(theirs['runs'])}",
                    }
                )
    return indexed(rows, "against")


def conclusions(records: Sequence[Record]) -> str:
    """A Markdown list: the worth of each part, the cost of noise, the distance to the ceiling."""
    found = [f"- {sentence}" for sentence in _sentences(records)]
    return "\n".join(found) + "\n" if found else "No record is committed yet.\n"


def _sentences(records: Sequence[Record]) -> Iterator[str]:
    table = settings(records)
    for dataset in ("mnist", "fashion_mnist"):
        for base in ("efsgd", "efsgd-prior"):
            yield from _parts(table, dataset, base)
    yield from _clipping(records)
    for dataset in ("mnist", "fashion_mnist"):
        yield from _noise(table, dataset)
        yield from _presets(table, dataset)
    yield from _ceiling(records, table)


def _parts(table: pd.DataFrame, dataset: str, base: str) -> Iterator[str]:
    """The effect of removing each part, by accuracy and by distance."""
    whole = _rows(table, dataset, 10.0, [base])
    switched = _at(table, dataset, 10.0)
    switched = switched[switched["method"].str.startswith(base + "/no-")]
    if whole.empty or switched.empty:
        return
    parts = [
        f"{row['method'].removeprefix(base + '/no-').replace('-', ' ')}: "
        f"{_change(row, whole.iloc[0])}"
        for _, row in switched.iterrows()
    ]
    title = DATASET_TITLES[dataset]
    yield (
        f"**Without one part**, `{base}` on {title} at epsilon 10 changes as follows. "
        f"{'; '.join(parts)}."
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


def _noise(table: pd.DataFrame, dataset: str) -> Iterator[str]:
    """What is gained without noise."""
    for method in ("efsgd", "efsgd-prior"):
        noisy, free = (_rows(table, dataset, e, [method]) for e in (10.0, NON_PRIVATE))
        if noisy.empty or free.empty:
            continue
        one, other = free.iloc[0], noisy.iloc[0]
        gain, word = verdict(one, other, *_G2R)
        yield (
            f"**The cost of noise** for `{method}` on {DATASET_TITLES[dataset]}: next to none "
            f"gives g2r {one['g2r_cnn']:.1f} %, epsilon 10 gives {other['g2r_cnn']:.1f} % "
            f"({gain:+.1f}, {word})."
        )


def _presets(table: pd.DataFrame, dataset: str) -> Iterator[str]:
    """What the lineage's settings reach under a valid accounting, compared with ours."""
    found = _rows(table, dataset, 10.0, ["gs-wgan", "dp-gan-dpac"])
    ours = _rows(table, dataset, 10.0, ["efsgd"])
    if found.empty or ours.empty:
        return
    figures = [
        f"`{row['method']}` reaches g2r {row['g2r_cnn']:.1f} % at a recall of {row['recall']:.2f}; "
        f"against `efsgd`, with a recall of {ours.iloc[0]['recall']:.2f}: "
        f"{_change(row, ours.iloc[0])}"
        for _, row in found.iterrows()
    ]
    yield (
        f"**The lineage's settings under a valid accounting**, on {DATASET_TITLES[dataset]} at "
        f"epsilon 10. {'. '.join(figures)}."
    )


def _change(row: pd.Series, base: pd.Series) -> str:
    """How one method differs from another, by accuracy and by distance, with verdicts."""
    accuracy, by_accuracy = verdict(row, base, *_G2R)
    distance, by_distance = verdict(row, base, *_FRECHET)
    return f"g2r {accuracy:+.1f} ({by_accuracy}), Frechet distance {distance:+.1f} ({by_distance})"


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
