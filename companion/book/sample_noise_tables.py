"""Noise on finished samples, judged by a deep network on held-out training records."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd

from companion.book.tables import DATASET_TITLES, MISSING
from companion.studies.sample_noise import EPSILONS, METHODS, NONE


def sample_noise_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each form that was tried, best first within a data set and budget; percent.

    Args:
        found: from `load_sample_noise`.
    """
    rows = [
        {"data set": dataset, "epsilon": epsilon} | row
        for (dataset, epsilon), here in _judged(found).items()
        for row in sorted(here, key=lambda row: -row["deep (%)"])
    ]
    names = ["data set", "epsilon", "noise"]
    return pd.DataFrame(rows).set_index(names) if rows else pd.DataFrame()


def sample_noise_text(found: Mapping[str, Any]) -> str:
    """Sentences: without noise, with dither, and with grain, and the best of all forms.

    Args:
        found: from `load_sample_noise`.
    """
    said, best = [], []
    for (dataset, epsilon), here in _judged(found).items():
        by_form = {row["noise"]: row for row in here}
        shown = [by_form[form] for form in (NONE, "dither", "grain") if form in by_form]
        if len(shown) == 3:
            figures = " / ".join(f"{row['deep (%)']:.1f}" for row in shown)
            seeds = min(row["seeds"] for row in shown)
            said.append(f"{dataset} at epsilon {epsilon} {figures} % (n = {seeds})")
            first = max(here, key=lambda row: row["deep (%)"])
            best.append(f"{first['noise']} ({first['deep (%)']:.1f} %)")
    if not said:
        return "Not measured yet: `python -m companion.studies.sample_noise` does."
    return (
        f"Without noise, with dither, and with grain: {'; '.join(said)}. Best of all forms, in the same "
        f"order: {'; '.join(best)}."
    )


def _judged(found: Mapping[str, Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """A row for each form, and for other modes and temperatures than usual, by set and budget."""
    points = found.get("points", {}).values()
    frame = pd.DataFrame([point | {"noise": _noise(point)} for point in points])
    groups = {}
    for dataset, epsilon in itertools.product(METHODS, EPSILONS) if len(frame) else ():
        at = frame[(frame["dataset"] == dataset) & (frame["epsilon"] == epsilon)]
        rows = [_row(seeds, str(noise)) for noise, seeds in at.groupby("noise", sort=False)]
        groups[DATASET_TITLES[dataset], f"{epsilon:g}"] = rows
    return groups


def _noise(point: Mapping[str, Any]) -> str:
    modes, temperature = point.get("modes"), point.get("temperature")
    finer = f", {modes} modes" if modes else ""
    return point["form"] + finer + (f", temperature {temperature:g}" if temperature else "")


def _row(seeds: pd.DataFrame, form: str) -> dict[str, Any]:
    accuracy = 100 * seeds["accuracy"]
    several = len(seeds) > 1
    return {
        "noise": form,
        "seeds": len(seeds),
        "deep (%)": round(float(accuracy.mean()), 1),
        "lowest to highest": f"{accuracy.min():.1f} to {accuracy.max():.1f}"
        if several
        else MISSING,
        "fall": round(100 * float(seeds["fall"].mean()), 1),
    }
