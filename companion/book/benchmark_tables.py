"""Tables and a figure of the committed benchmarks, ``results/benchmarks.json``."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from companion.book.figures import COLORS
from companion.book.tables import MISSING
from companion.studies.benchmark_results import Benchmarks

Columns = dict[str, Callable[[Any], Any]]  # heading -> how to read it from a measurement

# Goals set before anything was measured: least speed-up, or greatest cost.
GOALS = {"mlp": 8.0, "conv": 3.0, "gpu": 30.0, "optimizer": 1.15, "ranks": 1.6}


def loop_table(found: Benchmarks) -> pd.DataFrame:
    """A critic step of a cohort, batched against a loop; milliseconds, shares in percent."""
    columns: Columns = {
        "critic": lambda row: (
            f"{row['critic']}, width {row['width']}" + (", GPU" if _on_gpu(row) else "")
        ),
        "batched (ms)": lambda row: 1e3 * row["batched_seconds"],
        "loop (ms)": lambda row: 1e3 * row["loop_seconds"],
        "ratio": itemgetter("ratio"),
        "goal": lambda row: GOALS["gpu" if _on_gpu(row) else row["critic"]],
        "loop's share of matmul rate (%)": lambda row: 100 * row["loop_share_of_matmul"],
    }
    return measurements(found, "loop", columns)


def _on_gpu(row: Benchmarks) -> bool:
    return bool(row["device"] == "cuda")


def optimizer_table(found: Benchmarks) -> pd.DataFrame:
    """A step of `EFSGD` over a step of Opacus's `DPOptimizer`; times in milliseconds."""
    columns: Columns = {
        "model": lambda row: (
            f"{row['parameters']:,} weights, {'with' if row['memory'] else 'no'} memory"
        ),
        "EFSGD (ms)": lambda row: 1e3 * row["ours_seconds"],
        "DPOptimizer (ms)": lambda row: 1e3 * row["opacus_seconds"],
        "ratio": itemgetter("ratio"),
        "goal": lambda _: GOALS["optimizer"],
    }
    return measurements(found, "optimizers", columns)


def ranks_table(found: Benchmarks) -> pd.DataFrame:
    """Seconds of a round on one rank and on two, a core each."""
    columns: Columns = {
        "owners that join": itemgetter("cohort"),
        "one rank (s)": itemgetter("one_rank_seconds"),
        "two ranks (s)": itemgetter("two_ranks_seconds"),
        "ratio": itemgetter("ratio"),
        "goal": lambda _: GOALS["ranks"],
    }
    return measurements(found, "ranks", columns)


def cost_table(found: Benchmarks) -> pd.DataFrame:
    """Seconds of one critic step and peak memory (GB), by critic, image and number of shards."""
    columns: Columns = {
        "critic": itemgetter("critic"),
        "image": itemgetter("image"),
        "shards K": itemgetter("shards"),
        "join (qK)": itemgetter("cohort"),
        "step (s)": itemgetter("step_seconds"),
        "memory (GB)": itemgetter("peak_gigabytes"),
    }
    return measurements(found, "grid", columns)


def cost_curve(found: Benchmarks) -> Figure:
    """Seconds of a critic step against the number of owners that join, on logarithmic axes."""
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
    axis.set(xlabel="owners that join a round", ylabel="seconds per critic step")
    return figure


def minutes_table(found: Benchmarks) -> pd.DataFrame:
    """Median minutes and most memory (GB) of the two commands and of the metrics."""
    columns: Columns = {
        "what": itemgetter("what"),
        "minutes": itemgetter("minutes"),
        "goal": itemgetter("goal_minutes"),
        "memory (GB)": itemgetter("memory_gb"),
    }
    parts = (found.get(part, []) for part in ("test", "book", "book-without-data", "metrics"))
    rows = {"minutes": [row for part in parts for row in part]}
    return measurements(rows, "minutes", columns).astype(object).fillna(MISSING)


def measurements(found: Benchmarks, part: str, columns: Columns) -> pd.DataFrame:
    """One row for each measurement of `part`; the first column is the index."""
    rows = [[read(row) for read in columns.values()] for row in found.get(part, [])]
    return pd.DataFrame(rows, columns=list(columns)).set_index(next(iter(columns))).round(3)
