"""The prior's samples by several protocols, from ``results/yardsticks.json`` and the records.

What ``quick`` says of a set that a record holds is read from the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

import pandas as pd

from companion.book.tables import DATASET_TITLES, MISSING
from companion.studies.yardsticks import (
    EPSILONS,
    METHODS,
    PLAIN,
    REAL,
    SEEDS,
    JudgedSet,
    usual_curve,
)
from dpgen_core.records.record import Record

_Judged = dict[str, Any]  # protocol -> set's name -> answer, as in the file
_DEEP = {  # heading -> figure of the answer, factor, decimals
    "deep (%)": ("accuracy", 100, 1),
    "fall": ("fall", 100, 1),
    "forest (%)": ("forest", 100, 1),
    "linear (%)": ("linear", 100, 1),
    "Frechet, deep": ("frechet_deep", 1, 2),
}
_QUICK = {
    "g2r CNN (%)": ("g2r_cnn", 100, 1),
    "Frechet": ("frechet_distance", 1, 1),
    "recall": ("recall", 1, 2),
}
_LOOKS = {"black (%)": ("zero_share", 100, 0), "fine (%)": ("sharpness", 100, 1)}
_ORDER = ("records", "seeds", "deep (%)", "lowest to highest", *list(_DEEP)[1:], *_QUICK, *_LOOKS)
_PLAIN, DITHERED, _GRAINED, FORMER = _FORMS = "", ", dithered", ", grained", ", former curve"


def yardstick_table(judged: _Judged, records: Sequence[Record], *, dataset: str) -> pd.DataFrame:
    """One row for each set of `dataset`, the mean over its seeds, and one of the real images.

    Args:
        judged: from `load_yardsticks`.
        records: from `committed_records`.
        dataset: a key of `DATASET_TITLES`.
    """
    rows = []
    budgets = {f"{budget:g}" for budget in EPSILONS}  # the figure has the others
    answers = {place: a for place, a in grouped(judged, dataset).items() if place[0] in budgets}
    for (epsilon, kind), found in answers.items():
        row: dict[str, Any] = {"epsilon": epsilon, "learned from": kind, "seeds": len(found)}
        row["records"] = found[0]["real_records"]
        row |= {name: _mean(found, *what) for name, what in _DEEP.items()}
        row["lowest to highest"] = _range(found)
        row |= _quick(judged, records, found) | _looks(found[0]["looks"])
        rows.append(row)
    if rows:
        found = next(iter(answers.values()))
        rows.append(_real_row(judged, dataset, found[0]))
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows).set_index(["epsilon", "learned from"])
    return table[list(_ORDER)].astype(object).fillna(MISSING)


def what_changed(judged: _Judged, records: Sequence[Record]) -> str:
    """Sentences on curve and dither at each data set's largest budget; empty without figures."""
    lines = []
    kinds = [f"mixture{form}" for form in (_PLAIN, DITHERED, FORMER)]
    for dataset, title in DATASET_TITLES.items():
        by_kind = {k: found for (e, k), found in grouped(judged, dataset).items() if e == "10"}
        if not set(kinds) <= by_kind.keys():
            continue
        now, noisy, former = _paired([by_kind[kind] for kind in kinds])
        if not now:
            continue
        deep, fall, forest = (
            [_mean(found, *_DEEP[name]) for found in (former, now, noisy)]
            for name in ("deep (%)", "fall", "forest (%)")
        )
        far, recall = (
            [_quick(judged, records, found)[name] for found in (former, now, noisy)]
            for name in ("Frechet", "recall")
        )
        lines.append(
            f"{title}, `mixture` at epsilon 10 with the former curve, with the present one, and "
            f"dithered (n = {len(now)}): `deep` {_three(deep)} %, fall {_three(fall)}, forest "
            f"{_three(forest)} %, Frechet distance {_three(far)}, recall {_three(recall)}."
        )
    return "\n\n".join(lines)


def best_by_deep(judged: _Judged) -> str:
    """The highest mean accuracy by ``deep`` of each data set and budget, of sets judged at all seeds.

    Beside it stands the best that only dither was added to.
    """
    said = []
    for dataset, title in DATASET_TITLES.items():
        answers = grouped(judged, dataset)
        whole = {place: found for place, found in answers.items() if len(found) == len(SEEDS)}
        for epsilon in (f"{budget:g}" for budget in EPSILONS):
            means = {
                kind: (_mean(found, *_DEEP["deep (%)"]), _range(found))
                for (budget, kind), found in whole.items()
                if budget == epsilon
            }
            if not means:
                continue
            kind = max(means, key=means.__getitem__)
            text = f"{title} at epsilon {epsilon} {means[kind][0]:.1f} % ({means[kind][1]}) by `{kind}`"
            controls = [mean for name, (mean, _) in means.items() if name.endswith(DITHERED)]
            said.append(text + (f" (dithered at most {max(controls):.1f} %)" if controls else ""))
        if said and (real := judged["deep"].get(JudgedSet(dataset, REAL).name())):
            said[-1] += f", where real images give {100 * real['accuracy']:.1f} %"
    question = "**And by a deeper judge?**"
    if not said:
        return f"{question} Not measured yet."
    return (
        f"{question} By a residual network trained on sixty thousand generated images, the best "
        f"of the sets judged so far, mean of {len(SEEDS)} seeds (lowest to highest): "
        f"{'; '.join(said)}. {{ref}}`All sets <yardsticks>`."
    )


def _paired(kinds: Sequence[Sequence[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """The answers of the seeds that all kinds have."""
    common = set.intersection(*({answer["set"]["seed"] for answer in found} for found in kinds))
    return [[answer for answer in found if answer["set"]["seed"] in common] for found in kinds]


def grouped(judged: _Judged, dataset: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Answers of ``deep`` by budget and kind, seeds together; the real images are left out.

    Args:
        judged: from `load_yardsticks`.
        dataset: of the sets.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for answer in judged.get("deep", {}).values():
        one = JudgedSet(**answer["set"])
        if one.dataset == dataset and one.method != REAL:
            groups.setdefault((f"{one.epsilon:g}", one.method + _form(one)), []).append(answer)
    methods = (*METHODS.get(dataset, ()), *PLAIN.get(dataset, ()))
    kinds = [method + form for method in dict.fromkeys(methods) for form in _FORMS]
    order = sorted(groups, key=lambda place: (-float(place[0]), kinds.index(place[1])))
    return {place: groups[place] for place in order}


def _form(one: JudgedSet) -> str:
    """What was done to a set that is not as it comes from its method."""
    former = one.curve != usual_curve(one.method)
    return DITHERED if one.dither else _GRAINED if one.grain else FORMER if former else _PLAIN


def _quick(
    judged: _Judged, records: Sequence[Record], found: Sequence[dict[str, Any]]
) -> dict[str, float]:
    """What ``quick`` says of the same sets, where it is known of each of them."""
    known = {r.config.record_name(): r.metrics for r in records}
    metrics = []
    for answer in found:
        one = JudgedSet(**answer["set"])
        own = judged.get("quick", {}).get(one.name())
        figures = own["runs"][0] if own else known.get(one.record_name(answer))
        if figures is None:
            return dict.fromkeys(_QUICK, float("nan"))
        metrics.append(figures)
    return {
        name: round(factor * mean(m[figure] for m in metrics), digits)
        for name, (figure, factor, digits) in _QUICK.items()
    }


def _looks(found: dict[str, float]) -> dict[str, float]:
    return {name: round(f * found[figure], digits) for name, (figure, f, digits) in _LOOKS.items()}


def _real_row(judged: _Judged, dataset: str, other: dict[str, Any]) -> dict[str, Any]:
    """Real training images as the set to learn from; what a set of theirs is at most expected."""
    name = JudgedSet(dataset, REAL).name()
    answer = judged["deep"].get(name)
    row: dict[str, Any] = {"epsilon": "none", "learned from": "real images", "seeds": 1}
    if answer:
        row |= {heading: _mean([answer], *what) for heading, what in _DEEP.items()}
    row["records"] = other["real_records"]
    row["Frechet, deep"] = round(other["frechet_deep_floor"], 2)
    return row | _looks(other["looks_real"])


def _mean(found: Sequence[dict[str, Any]], figure: str, factor: float, digits: int) -> float:
    return round(factor * mean(answer[figure] for answer in found), digits)


def _range(found: Sequence[dict[str, Any]]) -> str:
    values = sorted(100 * answer["accuracy"] for answer in found)
    if len(values) < 2:
        return MISSING
    return f"{values[0]:.1f} to {values[-1]:.1f}"


def _three(values: Sequence[float]) -> str:
    return " / ".join(f"{value:g}" for value in values)
