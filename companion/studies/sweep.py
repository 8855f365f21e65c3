"""Several runs as independent jobs in parallel processes, with one progress display.

``python -m companion.studies.sweep --dataset mnist --method mixture --epsilon 0.5 1 2 5`` runs one
method at several budgets. A run whose record exists is skipped, an interrupted one is resumed, and
one that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from companion.studies.cost_model import forecast_here
from companion.studies.fork_server import fork_server
from dpgen_core.checks import InvalidArgument, check_int
from dpgen_core.cli import add_run_options
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.experiment import run_experiment


def run_all(
    configs: Sequence[ExperimentConfig],
    *,
    results_dir: Path | str,
    processes: int | None = None,
    root: Path | None = None,
) -> dict[str, str]:
    """Run every configuration whose record is missing, in the order given, several at a time.

    Args:
        configs: from `make_config`.
        results_dir: see `run_experiment`.
        processes: runs at a time, >= 1; None takes a core for each.
        root: data folder, see `data.data_root`.

    Returns:
        Errors by record name; empty when every record exists.

    Raises:
        InvalidArgument: bad `processes`.
    """
    cores = os.cpu_count() or 1
    processes = cores if processes is None else processes
    check_int("processes", processes, low=1, fix=f"processes={cores}")
    named = {config.record_name(): config for config in configs}  # each once
    left = {name: c for name, c in named.items() if not (Path(results_dir) / name).exists()}
    minutes = {name: _minutes(config) / processes for name, config in left.items()}
    failed: dict[str, str] = {}
    forecast, started = sum(minutes.values()), time.monotonic()
    pool = ProcessPoolExecutor(
        processes,
        mp_context=fork_server(),
        initializer=torch.set_num_threads,
        initargs=(max(1, cores // processes),),
    )
    execute = partial(_execute, results_dir=Path(results_dir), root=root)
    with pool, tqdm(total=len(left), desc="runs") as bar:
        waiting = {pool.submit(execute, config): name for name, config in left.items()}
        for done in as_completed(waiting):
            name = waiting[done]
            error = done.exception()
            if error is not None:
                failed[name] = f"{type(error).__name__}: {error}"
            bar.write(f"{name}: {failed.get(name, 'done')}")
            bar.update()
            del minutes[name]
            if any(minutes.values()):
                passed = (time.monotonic() - started) / 60
                to_go = _minutes_left(list(minutes.values()), forecast, passed, processes)
                bar.set_postfix_str(f"about {to_go:.0f} minutes left")
    return failed


def _minutes_left(left: Sequence[float], forecast: float, passed: float, processes: int) -> float:
    """Minutes left, at the pace so far: parallel runs slow each other down.

    Args:
        left: forecasts in minutes of the runs that are not done, the running ones first.
        forecast: of all runs together, in minutes.
        passed: minutes since the start.
        processes: runs at a time; those that are running count as half done.
    """
    to_go = sum(left) - sum(left[:processes]) / 2
    done = forecast - to_go
    return to_go * passed / done if done else to_go


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when every record is there, 1 when a run failed, 2 for a bad setting."""
    parser = argparse.ArgumentParser(prog="python -m companion.studies.sweep", description=__doc__)
    add_run_options(parser)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--processes", type=int, default=None, help="runs at a time")
    settings = vars(parser.parse_args(arguments))
    results, processes = settings.pop("results"), settings.pop("processes")
    grid = itertools.product(settings.pop("epsilon"), settings.pop("seed"))
    try:
        configs = [make_config(**settings, epsilon=epsilon, seed=seed) for epsilon, seed in grid]
        failed = run_all(configs, results_dir=results, processes=processes)
    except InvalidArgument as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if failed else 0


def _minutes(config: ExperimentConfig) -> float:
    """Forecast of a run alone on this machine; 0 where nothing like it was measured."""
    expected = forecast_here(config)
    return expected.minutes if expected else 0.0


def _execute(config: ExperimentConfig, results_dir: Path, root: Path | None) -> None:
    run_experiment(config, results_dir=results_dir, root=root, progress=False)


if __name__ == "__main__":
    sys.exit(main())
