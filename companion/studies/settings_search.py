"""The search for settings: ``python -m companion.studies.settings_search`` runs missing trials.

Every trial of `search_space.TRIALS` trains on five sixths of the training records and is judged on
the other sixth; the test set is not used. The outcome goes to ``results/tuning.csv``, one line per
trial, and a trial that is listed there is not run again.

Choosing settings by these figures spends privacy budget that is not charged, here as elsewhere in
this literature. The search is published for that reason.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pandas as pd
import torch

from companion.studies.committed import project_root
from companion.studies.search_space import TRIALS, Trial
from companion.studies.train_alone import train_alone
from dpgen_core.config.make import make_config
from dpgen_core.data import sets as data
from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation.classifiers import (
    cached_classifier,
    machine_cache,
    train_classifier,
)
from dpgen_core.evaluation.metrics import frechet_distance, inception_score, precision_recall
from dpgen_core.files import write_whole
from dpgen_core.streams import stream

TUNING_FILE = "tuning.csv"
DATASET, HELD_OUT = "mnist", 6  # one in HELD_OUT records judges
SYNTHETIC, EPOCHS = 20_000, 8


def split(name: str = DATASET) -> tuple[ImageData, ImageData]:
    """Training records and judging records: a public permutation of the training part."""
    whole = data.load(name, "train")
    order = torch.randperm(len(whole.images), generator=stream(0, "tuning"))
    held = len(order) // HELD_OUT
    return whole.at(order[held:]), whole.at(order[:held])


def run_trial(trial: Trial) -> dict[str, Any]:
    """Train, sample and judge on the held-out records; returns one line of the table."""
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
    judge = cached_classifier(train, cache_dir=machine_cache(), **protocol)
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m companion.studies.settings_search")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    processes = parser.parse_args(arguments).processes
    path = project_root() / "results" / TUNING_FILE
    table = pd.read_csv(path) if path.exists() else pd.DataFrame()
    done = {tuple(row) for row in table.get(["method", "epsilon", "overrides"], table).to_numpy()}
    left = [t for t in TRIALS if (t[0], t[1], json.dumps(dict(t[2]), sort_keys=True)) not in done]
    with ProcessPoolExecutor(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for line in pool.map(run_trial, left):
            table = pd.concat([table, pd.DataFrame([line])], ignore_index=True)
            write_whole(path, table.to_csv(index=False))
            print(*line.values(), flush=True)


if __name__ == "__main__":
    main()
