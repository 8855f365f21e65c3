"""Invented answers of the study of uneven data."""

from __future__ import annotations

from typing import Any

import numpy as np

from companion.book.uneven_tables import MEASURES
from companion.studies.uneven_data import CASES, METHODS, RARE, Point

GAIN = 0.1  # of g2r of the watched class, by the memory, where it is rare


def made(seeds: int = 5, gain: float = GAIN) -> dict[str, Any]:
    random, found = np.random.default_rng(0), {}
    for seed in range(seeds):
        for case in CASES:
            for method in METHODS:
                more = gain * (case == RARE and method == METHODS[0])
                figures = {m.column: 0.5 + 1e-4 * random.standard_normal() for m in MEASURES}
                figures["g2r_watched"] += more
                about = {"case": case, "method": method, "dataset": "mnist", "seed": seed}
                found[Point(case, method, "mnist", seed).name()] = about | figures
    return {"points": found}
