"""Seconds per round of one run on one rank and on two, a core each; started by torchrun."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median
from typing import Any

import torch

from dpgen_core.config.make import make_config
from dpgen_core.data import sets as data
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.ranks import connected

ROUNDS, REPEATS = 10, 5
COHORTS = (100, 400)  # owners that join a round on average; sampling rate 0.1


def measure(ranks: int, cohort: int) -> float:
    """Seconds per round with that many ranks, one thread each."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, f"--nproc-per-node={ranks}", "-m", __spec__.name, str(cohort)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def compare() -> list[dict[str, Any]]:
    """Seconds per round and speed-up of the second rank."""
    rows = []
    for cohort in COHORTS:
        found: dict[int, list[float]] = {1: [], 2: []}  # by number of ranks, measured in turns
        for _ in range(REPEATS):
            for ranks, seconds in found.items():
                seconds.append(measure(ranks, cohort))
        one, two = min(found[1]), min(found[2])
        rows.append(
            {
                "cohort": cohort,
                "one_rank_seconds": one,
                "two_ranks_seconds": two,
                "ratio": one / two,
            }
        )
    return rows


def main() -> None:
    """One rank's part."""
    torch.set_num_threads(1)
    cohort = int(sys.argv[1])
    config = make_config(
        dataset="glyphs", method="efsgd", num_records=20 * cohort, num_shards=10 * cohort, rounds=50
    )
    records = data.load("glyphs", "train", num_records=config.privacy.num_records, seed=0)
    with connected() as ranks:
        trainer = OwnerTrainer(config, records, "key", device=ranks.device, ranks=ranks)
        seconds = []
        for index in range(ROUNDS):
            started = time.perf_counter()
            trainer.apply(trainer.compute(index))
            seconds.append(time.perf_counter() - started)
        if ranks.first:
            print(median(seconds))


if __name__ == "__main__":
    main()
