"""Tables of what ran on a GPU, ``results/gpu.json`` (`companion.studies.benchmarks.gpu_session`)."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from companion.studies.benchmarks.gpu_session import GPU_FILE
from dpgen_core.accounting.ledger import bound_text

GpuSession = dict[str, Any]  # step -> what it found, as in the file
_QUICK = {
    "g2r_cnn": "g2r CNN (%)",
    "g2r_mlp": "g2r MLP (%)",
    "frechet_distance": "Frechet distance",
    "precision": "precision",
    "recall": "recall",
}


def load_gpu(results_dir: Path) -> GpuSession:
    """What the last session found; empty when there was none."""
    path = results_dir / GPU_FILE
    return json.loads(path.read_text()) if path.exists() else {}


def diffusion_table(found: GpuSession) -> pd.DataFrame:
    """What each run of the diffusion model spent, and how long it took."""
    rows = []
    for name, run in found.get("diffusion", {}).items():
        rows.append(
            {
                "data set": name.split(",")[0],
                "epsilon": bound_text(run["epsilon"], 2),
                "delta": f"{run['delta']:g}",
                "rounds": run["rounds"],
                "noise multiplier": round(run["noise_multiplier"], 2),
                "pretraining (s)": round(run["pretraining_seconds"]),
                "rounds (s)": round(run["training_seconds"]),
            }
        )
    return pd.DataFrame(rows).set_index("data set") if rows else pd.DataFrame()


def judge_table(found: GpuSession) -> pd.DataFrame:
    """The deep judge's accuracy on real test images by what it learned from, in percent."""
    judged = dict(found.get("judges", {}))
    for name, run in found.get("diffusion", {}).items():  # which had its own judges at once
        dataset = name.split(",")[0]
        judged.setdefault(f"{dataset}, diffusion", run["trained"]["judged"])
    rows = []
    for name, runs in judged.items():
        dataset, kind, *dither = name.split(", ")
        values = [100 * run["accuracy"] for run in runs]
        falls = [100 * (max(r["accuracy_by_epoch"]) - r["accuracy_by_epoch"][-1]) for r in runs]
        rows.append(
            {
                "data set": dataset,
                "learned from": kind + (", dithered" if dither else ""),
                "mean": round(mean(values), 1),
                "lowest": round(min(values), 1),
                "highest": round(max(values), 1),
                "fall from best epoch": round(mean(falls), 1),
            }
        )
    return pd.DataFrame(rows).set_index(["data set", "learned from"]) if rows else pd.DataFrame()


def quick_table(found: GpuSession) -> pd.DataFrame:
    """The usual metrics of the same sets, before and after the private rounds."""
    rows = []
    for name, metrics in found.get("quick", {}).items():
        dataset, kind = name.split(", ")
        row: dict[str, Any] = {"data set": dataset, "after": kind}
        for key, heading in _QUICK.items():
            scale = 100 if key.startswith("g2r") else 1
            row[heading] = round(scale * metrics[key], 1 if scale == 100 else 2)
        rows.append(row)
    return pd.DataFrame(rows).set_index(["data set", "after"]) if rows else pd.DataFrame()
