"""Tables and a figure of the committed benchmarks (``results/benchmarks.json``, made by ``make bench``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dpgen_core.figures import COLORS

FILE = "benchmarks.json"
# What was set as a goal before anything was measured: least speed-up, or greatest cost.
GOALS = {"mlp": 8.0, "conv": 3.0, "optimizer": 1.15, "ranks": 1.6}


def load_benchmarks(results_dir: Path) -> dict[str, Any]:
    """What ``make bench`` measured last; empty when it never ran."""
    path = results_dir / FILE
    return json.loads(path.read_text()) if path.exists() else {}


def loop_table(found: dict[str, Any]) -> pd.DataFrame:
    """A critic step of a cohort, batched against a loop; times in milliseconds, shares in percent."""
    rows = [
        {
            "critic": f"{row['critic']}, width {row['width']}",
            "batched (ms)": 1e3 * row["batched_seconds"],
            "loop (ms)": 1e3 * row["loop_seconds"],
            "ratio": row["ratio"],
            "goal": GOALS[row["critic"]],
            "loop's share of matmul rate (%)": 100 * row["loop_share_of_matmul"],
        }
        for row in found.get("loop", [])
    ]
    return _table(rows, "critic")


def optimizer_table(found: dict[str, Any]) -> pd.DataFrame:
    """A step of `EFSGD` over a step of Opacus's `DPOptimizer`; times in milliseconds."""
    rows = [
        {
            "model": f"{row['parameters']:,} weights, {'with' if row['memory'] else 'no'} memory",
            "EFSGD (ms)": 1e3 * row["ours_seconds"],
            "DPOptimizer (ms)": 1e3 * row["opacus_seconds"],
            "ratio": row["ratio"],
            "goal": GOALS["optimizer"],
        }
        for row in found.get("optimizers", [])
    ]
    return _table(rows, "model")


def ranks_table(found: dict[str, Any]) -> pd.DataFrame:
    """Seconds of a round on one rank and on two, a core each."""
    rows = [
        {
            "shards that join": row["cohort"],
            "one rank (s)": row["one_rank_seconds"],
            "two ranks (s)": row["two_ranks_seconds"],
            "ratio": row["ratio"],
            "goal": GOALS["ranks"],
        }
        for row in found.get("ranks", [])
    ]
    return _table(rows, "shards that join")


def cost_table(found: dict[str, Any]) -> pd.DataFrame:
    """Seconds of one critic step and peak memory (GB), by critic, image and number of shards."""
    rows = [
        {
            "critic": row["critic"],
            "image": row["image"],
            "shards K": row["shards"],
            "join (qK)": row["cohort"],
            "step (s)": row["step_seconds"],
            "memory (GB)": row["peak_gigabytes"],
        }
        for row in found.get("grid", [])
    ]
    return _table(rows, "critic")


def cost_curve(found: dict[str, Any]) -> Figure:
    """Seconds of a critic step against how many shards join, on logarithmic axes."""
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axis = figure.subplots()
    table = pd.DataFrame(found.get("grid", []))
    if len(table):
        for color, ((critic, image), rows) in zip(
            COLORS, table.groupby(["critic", "image"]), strict=False
        ):
            curve = rows.groupby("cohort")["step_seconds"].median()
            axis.loglog(curve.index, curve, "o-", color=color, label=f"{critic}, {image}")
        axis.legend(frameon=False)
    axis.set(xlabel="shards that join a round", ylabel="seconds per critic step")
    return figure


def _table(rows: list[dict[str, Any]], index: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(rows[0]) if rows else [index])
    return table.set_index(index).round(3)
