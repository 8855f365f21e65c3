"""``python -m dpgen_core.tuning``: which settings were tried, and what came of each.

Every trial trains on five sixths of the training records and is judged on the other sixth: the test set is
not looked at. `trials` lists what is tried. The outcome goes to ``results/tuning.csv``, one line per
trial, and a trial that is there is not run again.

Choosing by these figures spends privacy budget which nobody charges, here as everywhere in this
literature; that is why the search is published.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from dpgen_core import data
from dpgen_core.classifiers import cached_classifier, train_classifier
from dpgen_core.config import make_config
from dpgen_core.data import ImageData
from dpgen_core.figures import COLORS
from dpgen_core.metrics import frechet_distance, inception_score, precision_recall
from dpgen_core.streams import stream
from dpgen_core.tables import project_root
from dpgen_core.training import train_alone
from dpgen_core.trials import COLOR_STEPS, TRIALS, Trial

FILE = "tuning.csv"
DATASET, HELD_OUT = "mnist", 6  # one in so many records judges
SYNTHETIC, EPOCHS = 20_000, 8
NEXT_TO_NO_NOISE = 100.0  # an epsilon above this asks for hardly any


def split(name: str = DATASET) -> tuple[ImageData, ImageData]:
    """Training records and judging records: a public permutation of the training part."""
    whole = data.load(name, "train")
    order = torch.randperm(len(whole.images), generator=stream(0, "tuning"))
    held = len(order) // HELD_OUT

    def part(rows: torch.Tensor) -> ImageData:
        return ImageData(name, whole.images[rows], whole.labels[rows], whole.class_names)

    return part(order[held:]), part(order[:held])


def run_trial(trial: Trial) -> dict[str, Any]:
    """Train, sample, judge on the held-out records; one line of the table."""
    method, epsilon, overrides = trial
    settings: dict[str, Any] = {"dataset": DATASET, **overrides}
    train, judged = split(settings["dataset"])
    config = make_config(method=method, epsilon=epsilon, num_records=len(train.images), **settings)
    started = time.perf_counter()
    trainer = train_alone(config, train, device=torch.device("cpu"))
    minutes = (time.perf_counter() - started) / 60
    labels = torch.arange(SYNTHETIC) % config.num_classes
    made = trainer.sample(labels)
    protocol: dict[str, Any] = {"architecture": "cnn", "num_classes": config.num_classes}
    protocol |= {"seed": 0, "epochs": EPOCHS}
    student = train_classifier(made, labels, **protocol)
    judge = cached_classifier(train, cache_dir=_cache(), **protocol)
    real, fake = judge.features(judged.images), judge.features(made[:10_000])
    _, recall = precision_recall(real[:2000], fake[:2000])
    return {
        "method": method,
        "epsilon": epsilon,
        "overrides": json.dumps(dict(overrides), sort_keys=True),
        "g2r": round(student.accuracy(judged.images, judged.labels), 4),
        "frechet_distance": round(frechet_distance(real, fake), 2),
        "inception_score": round(inception_score(judge.logits(made).softmax(1)), 3),
        "recall": round(recall, 3),
        "minutes": round(minutes, 2),
    }


def tuning_table(results: Path) -> pd.DataFrame:
    """The committed trials, best g2r first within a method and budget.

    Args:
        results: the folder that holds `FILE`.
    """
    table = pd.read_csv(results / FILE)
    table["overrides"] = [_readable(text) for text in table["overrides"]]
    table = table.sort_values(["epsilon", "method", "g2r"], ascending=[False, True, False])
    return table.rename(columns={"overrides": "settings changed"}).set_index("method")


def noise_table(results: Path) -> pd.DataFrame:
    """What is left to gain without noise: g2r in percent at epsilon 10 and next to no noise.

    A setting appears when it was tried both ways, or without noise alone.

    Args:
        results: the folder that holds `FILE`.
    """
    table = pd.read_csv(results / FILE)
    key = ["method", "overrides"]
    free = table[table["epsilon"] > NEXT_TO_NO_NOISE].set_index(key)["g2r"]
    noisy = table[table["epsilon"] == 10.0].set_index(key)["g2r"].reindex(free.index)
    both = pd.DataFrame({"epsilon 10 (%)": 100 * noisy, "next to no noise (%)": 100 * free})
    both["gain"] = both["next to no noise (%)"] - both["epsilon 10 (%)"]
    both = both.round(1).reset_index()
    both["overrides"] = [_readable(text) for text in both["overrides"]]
    return both.rename(columns={"overrides": "settings changed"}).set_index("method")


def seeds_table(results: Path, setting: str) -> pd.DataFrame:
    """Trials that changed one setting alone, by budget: mean and standard deviation over seeds.

    Args:
        results: the folder that holds `FILE`.
        setting: a field of `config.ExperimentConfig`.
    """
    table = pd.read_csv(results / FILE)
    changed = table["overrides"].map(json.loads)
    table = table[[set(c) == {setting, "seed"} for c in changed]]
    table[setting] = [changed[row][setting] for row in table.index]
    return _over_seeds(table, ["method", "epsilon", setting])


def color_table(results: Path) -> pd.DataFrame:
    """What a prior for photographs is made of: mean and standard deviation over seeds, by budget.

    Args:
        results: the folder that holds `FILE`.
    """
    table = pd.read_csv(results / FILE)
    changed = table["overrides"].map(json.loads)
    rows = table[[c.get("dataset") == "celeba" for c in changed]].copy()
    rows["step"] = [
        COLOR_STEPS.index({n: v for n, v in c.items() if n not in ("dataset", "seed")})
        for c in changed[rows.index]
    ]
    found = _over_seeds(rows, ["epsilon", "step"]).reset_index()
    found.insert(1, "setting added", [_added(step) for step in found.pop("step")])
    return found.set_index("epsilon").sort_index(ascending=False, kind="stable")


def compute_curve(results: Path, *, floor: float) -> Figure:
    """g2r of every trial of `efsgd` against what it took.

    Frames, appearance noise, and next to no privacy noise have colors of their own.

    Args:
        results: the folder that holds `FILE`.
        floor: what was asked for, in percent.
    """
    table = pd.read_csv(results / FILE)
    table = table[table["method"] == "efsgd"]
    changed = table["overrides"].map(json.loads)
    framed = changed.map(lambda fields: fields.get("rounds_frame", False))
    varied = changed.map(lambda fields: fields.get("appearance_noise", False))
    free = table["epsilon"] > NEXT_TO_NO_NOISE
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axis = figure.subplots()
    for color, (label, rows) in zip(
        COLORS,
        {
            "epsilon 10": table[~free & ~varied & ~framed],
            "epsilon 10, with frames": table[~free & framed],
            "epsilon 10, with appearance noise": table[~free & varied],
            "next to no privacy noise": table[free],
        }.items(),
        strict=False,
    ):
        axis.plot(rows["minutes"], 100 * rows["g2r"], "o", color=color, label=label)
    axis.axhline(floor, color="gray", lw=1, ls="--", label="asked for")
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.set(xlabel="minutes of one core (log scale)", ylabel="g2r, held-out records (%)")
    axis.legend(frameon=False)
    return figure


def _added(step: int) -> str:
    """What this one of `COLOR_STEPS` has that the one before has not."""
    before = COLOR_STEPS[step - 1] if step else {}
    added = {n: v for n, v in COLOR_STEPS[step].items() if n not in before}
    return _readable(json.dumps(added, sort_keys=True))


def _over_seeds(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Accuracy, distance and recall of each group of trials, as mean and standard deviation."""
    columns = {"g2r": "g2r (%)", "frechet_distance": "Frechet distance", "recall": "recall (%)"}
    percent = table.assign(g2r=100 * table["g2r"], recall=100 * table["recall"])
    groups = percent.rename(columns=columns).groupby(keys)[list(columns.values())]

    def text(seeds: pd.Series) -> str:
        return f"{seeds.mean():.1f} ± {seeds.std():.1f}"

    return groups.agg(text)


def _readable(text: str) -> str:
    changed = json.loads(text)
    words = [
        f"{name}={value if isinstance(value, str | bool) else f'{value:g}'}"
        for name, value in changed.items()
    ]
    return ", ".join(words) or "the preset"


def _cache() -> Path:
    return project_root() / "results" / ".work" / "classifiers"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dpgen_core.tuning")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    processes = parser.parse_args(arguments).processes
    path = project_root() / "results" / FILE
    table = pd.read_csv(path) if path.exists() else pd.DataFrame()
    done = {tuple(row) for row in table.get(["method", "epsilon", "overrides"], table).to_numpy()}
    left = [t for t in TRIALS if (t[0], t[1], json.dumps(dict(t[2]), sort_keys=True)) not in done]
    with ProcessPoolExecutor(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for line in pool.map(run_trial, left):
            table = pd.concat([table, pd.DataFrame([line])], ignore_index=True)
            partial = path.with_suffix(".partial")
            table.to_csv(partial, index=False)
            os.replace(partial, path)
            print(*line.values(), flush=True)


if __name__ == "__main__":
    main()
