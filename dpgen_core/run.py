"""One experiment from the command line, on one process or several.

``python -m dpgen_core.run --dataset mnist --method efsgd --epsilon 10`` runs alone;
``torchrun --nproc-per-node=2 -m dpgen_core.run ...`` shares the shards between two processes. Both
write the record that `run_experiment` writes, and either resumes the other's unfinished run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dpgen_core.checks import InvalidArgument
from dpgen_core.config import ExperimentConfig, make_config
from dpgen_core.experiment import run_experiment
from dpgen_core.spread import connected


def options(prog: str, description: str | None) -> argparse.ArgumentParser:
    """What one run and a sweep are both told; budget and seed are theirs to add."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--method", default="efsgd-prior")
    parser.add_argument("--profile", default="quick", help="smoke, quick or paper")
    parser.add_argument("--num-records", type=int, default=None, help="default: all there are")
    parser.add_argument("--noise-source", default="seeded", help="seeded (research) or secret")
    parser.add_argument("--results", type=Path, default=Path("results/local"))
    return parser


def parse(arguments: Sequence[str] | None) -> tuple[ExperimentConfig, Path]:
    """Configuration and results folder from the command line.

    Raises:
        InvalidArgument: as `make_config`.
    """
    parser = options("python -m dpgen_core.run", __doc__)
    parser.add_argument("--epsilon", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    settings = vars(parser.parse_args(arguments))
    results = settings.pop("results")
    return make_config(**settings), results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the record's path is printed last."""
    try:
        config, results = parse(arguments)
        with connected() as ranks:
            record = run_experiment(
                config, results_dir=results, ranks=ranks, device=ranks.device.type
            )
            if ranks.first:
                print(record.path)
    except InvalidArgument as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
