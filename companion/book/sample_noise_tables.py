"""Noise on finished samples, judged by a deep network on held-out training records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from companion.book.tables import DATASET_TITLES, MISSING
from companion.studies.sample_noise import EPSILONS, FORMS, METHODS, NONE


def sample_noise_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each form that was tried, best first within a data set and budget; percent.

    Args:
        found: from `load_sample_noise`.
    """
    frame = pd.DataFrame(list(found.get("points", {}).values()))
    if frame.empty:
        return frame
    rows: list[dict[str, Any]] = []
    for dataset in METHODS:
        for epsilon in EPSILONS:
            at = frame[(frame["dataset"] == dataset) & (frame["epsilon"] == epsilon)]
            here = [_row(at[at["form"] == form], form) for form in FORMS if form in set(at["form"])]
            for row in sorted(here, key=lambda row: -row["deep (%)"]):
                rows.append({"data set": DATASET_TITLES[dataset], "epsilon": f"{epsilon:g}"} | row)
    return pd.DataFrame(rows).set_index(["data set", "epsilon", "noise"])


def sample_noise_text(found: Mapping[str, Any]) -> str:
    """A sentence for each data set and budget: without noise, with dither, and with grain.

    Args:
        found: from `load_sample_noise`.
    """
    table, said = sample_noise_table(found), []
    if table.empty:
        return "Not measured yet: `python -m companion.studies.sample_noise` does."
    shown = (NONE, "dither", "grain")
    for where, rows in table.groupby(level=["data set", "epsilon"], sort=False):
        here = rows.droplevel(["data set", "epsilon"])
        if set(shown) <= set(here.index):
            figures = " / ".join(f"{here.loc[name, 'deep (%)']:.1f}" for name in shown)
            seeds = min(here.loc[name, "seeds"] for name in shown)
            said.append(f"{' at epsilon '.join(where)} {figures} % (n = {seeds})")
    return f"Without noise, with dither, and with grain: {'; '.join(said)}."


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
