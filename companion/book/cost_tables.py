"""Tables and figures of the cost model: its accuracy, and runs that were not made.

Sizes come from `cost_model.memory`, which counts; times from the fit, which extrapolates.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from companion.book.benchmark_tables import Columns, measurements
from companion.book.figures import COLORS
from companion.studies.benchmark_results import Benchmarks
from companion.studies.cost_model import (
    CostModel,
    evaluation_work,
    memory,
    public_side,
    round_work,
    training_work,
)
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig

RECORDS = 1_000_000
SIDES = (32, 64, 128)
SHARDS = (1_000, 30_000)  # as in quick; as many records a shard as there
_MODES_PER_PIXEL = 14 / 28  # as much detail, in proportion, as the basis of 28x28 images keeps
ALLOWED = 0.25  # how far a forecast may be off; a goal set before anything was measured
# Settings varied in `cost_curves`, one at a time, from profile quick.
_VARIED: dict[str, tuple[str, list[Any]]] = {
    "shards K": ("num_shards", [250, 500, 1000, 2000, 4000]),
    "sampling rate q": ("sampling_rate", [0.025, 0.05, 0.1, 0.2, 0.4]),
    "images per round B": ("generated_batch", [20, 40, 80, 160, 320]),
    "side of the image": ("image_shape", [28, 32, 48, 64, 96]),
}


def forecast_table(found: Benchmarks) -> pd.DataFrame:
    """Whole runs that were not fitted: minutes predicted and measured, and accuracy."""
    columns: Columns = {
        "run": itemgetter("run"),
        "predicted (min)": lambda row: row["predicted"] / 60,
        "measured (min)": lambda row: row["measured"] / 60,
        "ratio": lambda row: row["predicted"] / row["measured"],
        "of it training (min)": lambda row: row["training_seconds"] / 60,
        "g2r (CNN)": itemgetter("g2r_cnn"),
    }
    return measurements(found.get("cost", {}), "runs", columns)


def forecast_figure(found: Benchmarks) -> Figure:
    """Predicted against measured seconds: probes, which were fitted, and runs, which were not."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axis = figure.subplots()
    measured = found.get("cost", {})
    probes = [(row["seconds"], row["fitted"]) for row in measured.get("probes", [])]
    runs = [(row["measured"], row["predicted"]) for row in measured.get("runs", [])]
    for color, (label, points) in zip(
        COLORS, {"probes (fitted)": probes, "whole runs (not fitted)": runs}.items(), strict=False
    ):
        if points:
            axis.loglog(*zip(*points, strict=True), "o", color=color, label=label)
    if runs:
        ends = [min(x for x, _ in probes), max(x for x, _ in runs)]
        axis.plot(ends, ends, color="gray", lw=1)
        axis.fill_between(
            ends,
            [(1 - ALLOWED) * x for x in ends],
            [(1 + ALLOWED) * x for x in ends],
            color="gray",
            alpha=0.2,
            lw=0,
            label=f"within {ALLOWED:.0%}",
        )
        axis.legend(frameon=False)
    axis.set(xlabel="measured seconds", ylabel="predicted seconds")
    return figure


def cost_curves(found: Benchmarks) -> Figure:
    """Fitted seconds of a round of profile ``quick`` as one setting varies."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots(2, 2, sharey=True).flatten()
    model = CostModel.of(found)
    for axis, (label, (name, values)) in zip(axes, _VARIED.items(), strict=True):
        axis.set(xlabel=label, xscale="log")
        if model is not None:
            seconds = [_round_seconds(model, name, value) for value in values]
            axis.plot(values, seconds, "o-", color=COLORS[0])
            axis.set_xticks(values, [f"{value:g}" for value in values])
            axis.minorticks_off()
            axis.set_ylim(0)
    figure.supylabel("seconds per round")
    return figure


def large(side: int, num_shards: int) -> ExperimentConfig:
    """``efsgd`` at profile ``quick`` with `RECORDS` color images of that side and more shards."""
    small = make_config(dataset="glyphs", method="efsgd")
    return small.replace(
        num_records=RECORDS,
        delta=0.1 / RECORDS,
        image_shape=(3, side, side),
        basis_modes=round(_MODES_PER_PIXEL * side),
        num_shards=num_shards,
    )


def memory_table() -> pd.DataFrame:
    """Gigabytes kept from round to round, by image and number of shards; a column for each use."""
    rows = []
    for config in _runs():
        kept = memory(config)
        total = sum(kept.values())
        joining = config.privacy.sampling_rate * kept["critics and their Adam moments"]
        rows.append(_key(config) | kept | {"all": total, "critics of a round": joining})
    return pd.DataFrame(rows).set_index(["image", "shards K"]).round(1)


def time_table(found: Benchmarks) -> pd.DataFrame:
    """Hours to train and to evaluate, on the machine of the benchmarks."""
    columns = ["image", "shards K", "rounds", "train (h)", "evaluate (h)"]
    model, rows = CostModel.of(found), []
    if model is not None:
        for config in _runs():
            training = model.predict(training_work(config)) / 3600
            evaluation = model.predict(evaluation_work(config)) / 3600
            rows.append([*_key(config).values(), config.privacy.rounds, training, evaluation])
    return pd.DataFrame(rows, columns=columns).set_index(columns[:2]).round(1)


def _round_seconds(model: CostModel, name: str, value: Any) -> float:
    config = make_config(dataset="glyphs", method="efsgd")
    moved: dict[str, Any] = {name: (1, value, value) if name == "image_shape" else value}
    config = config.replace(**moved)
    return model.predict(round_work(public_side(config)))


def _runs() -> list[ExperimentConfig]:
    return [large(side, shards) for side in SIDES for shards in SHARDS]


def _key(config: ExperimentConfig) -> dict[str, Any]:
    channels, height, width = config.image_shape
    return {"image": f"{channels}x{height}x{width}", "shards K": config.privacy.num_shards}
