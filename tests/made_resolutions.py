"""Made figures of the study of resolution, in which radii repair what size breaks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from companion.studies.resolutions import METHODS, MODES, PLAIN, RADII, SIDES, Point, usual_side

G2R = {PLAIN: 0.5, RADII: 0.8, MODES: 0.82}  # at the largest size


def made(seeds: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    """Usual and largest size of both data sets at both budgets; seeds differ by two points."""
    found = {}
    for dataset, sides in SIDES.items():
        for side in (usual_side(dataset), sides[-1]):
            usual = side != sides[-1]
            for repair in (PLAIN,) if usual else (PLAIN, RADII, MODES):
                for epsilon in (10.0, 1.0):
                    for seed in seeds:
                        point = Point(dataset, METHODS[dataset], side, epsilon, repair, seed)
                        g2r = (0.85 if usual else G2R[repair]) - 0.1 * (epsilon == 1) + 0.02 * seed
                        found[point.name()] = asdict(point) | _answer(g2r, usual, repair)
    return {"points": found}


def _answer(g2r: float, usual: bool, repair: str) -> dict[str, Any]:
    broken = not usual and repair == PLAIN
    return {
        **{"g2r_cnn": g2r, "g2r_mlp": g2r, "real_cnn": 0.95, "real_mlp": 0.9},
        **{"frechet_distance": 9.0 if broken else 3.0, "frechet_floor": 0.1},
        **{"precision": 0.4, "recall": 0.2, "modes": 18 if repair == MODES else 12},
        **{"codes": 144, "cells": 8, "noise_multiplier": 0.5, "mean_noise": 0.1},
        **{"pixel_noise": 0.01, "kept_of_codes": 0.4 if broken else 0.97},
        **{"kept_of_residuals": 0.5, "sharpness": 0.03, "sharpness_real": 0.06},
        **{"training_seconds": 2.0 if usual else 9.0, "sampling_seconds": 1.0},
        **{"judging_seconds": 30.0, "records_gigabytes": 0.1},
        **{"training_peak_gigabytes": 1.0 if usual else 4.0, "peak_gigabytes": 5.0},
    }
