"""The committed runs: one list, and one command that runs those whose record is missing.

``python -m companion.studies.campaign [--processes 2] [--methods NAME ...] [--list]`` works through
`RUNS` in order. A record's name holds a hash of its settings, so a changed preset is run again; the
old record stays until it is deleted by hand. Runs on a prior that have a record with the contrast
curve of before are not run again while it is there; the record names its curve.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from companion.studies.committed import project_root
from companion.studies.sweep import run_all
from dpgen_core.config.make import make_config
from dpgen_core.config.presets import (
    COLORED,
    FRAMED_GRAINED,
    GRAINED,
    PARTS,
    PRIOR_FRAMED,
    REFINED,
    ROUNDS_FRAMED,
    VARIED,
)
from dpgen_core.config.schema import ExperimentConfig

SEEDS = (0, 1, 2)
PAPER_SWITCHES = ("no-error-feedback", "no-reconstruction", "no-noise-injection")
NON_PRIVATE = 1e6  # an epsilon that leaves next to no noise
SWEEP = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
# Training records of CelebA's prepared subset, given here so that the list does not depend on
# whether the data are on this machine.
_RECORDS = {"celeba": 37_540}


@dataclass(frozen=True)
class Run:
    """One committed run at profile ``quick``."""

    dataset: str
    method: str
    epsilon: float
    seed: int = 0

    def config(self) -> ExperimentConfig:
        """Its configuration."""
        return make_config(
            dataset=self.dataset,
            method=self.method,
            epsilon=self.epsilon,
            seed=self.seed,
            num_records=_RECORDS.get(self.dataset),
        )


WITHOUT_DATA = Run("glyphs", "mixture", 10.0)  # whoever has no data can make this one again


def _runs() -> Iterator[Run]:
    """The most informative first, so that a partial campaign is still of use."""
    yield WITHOUT_DATA
    yield Run("fashion_mnist", "efsgd-prior", 3.0)  # the readme's example of another budget
    for seed in SEEDS:
        for dataset in ("mnist", "fashion_mnist", "celeba"):
            for epsilon in (10.0, 1.0):
                for method in ("gaussian", "mixture", "efsgd-prior", "efsgd"):
                    yield Run(dataset, method, epsilon, seed)
    for seed in (3, 4, 5):  # three seeds do not separate these
        for dataset in ("mnist", "fashion_mnist"):
            for method in ("gaussian", "mixture", "efsgd-prior"):
                yield Run(dataset, method, 1.0, seed)
    for seed in (3, 4):  # what each of the paper's parts buys: the book's headline
        for dataset in ("mnist", "fashion_mnist"):
            for method in ("efsgd", *(f"efsgd/{switch}" for switch in PAPER_SWITCHES)):
                yield Run(dataset, method, 10.0, seed)
    for epsilon in SWEEP:
        for method in ("mixture", "efsgd-prior"):
            yield Run("mnist", method, epsilon)
    # Frames are made for handwriting; do they help the prior there, and on clothes?
    for seed in SEEDS:
        for dataset in ("mnist", "fashion_mnist"):
            for epsilon in (10.0, 1.0):
                for method in PRIOR_FRAMED:
                    yield Run(dataset, method, epsilon, seed)
    # The paper's parts alone, with frames or with appearance noise.
    for seed in SEEDS:
        for dataset in ("mnist", "fashion_mnist"):
            yield Run(dataset, ROUNDS_FRAMED, 10.0, seed)
        for dataset in ("mnist", "fashion_mnist", "celeba"):
            yield Run(dataset, VARIED, 10.0, seed)
    # The effect of the prior for photographs.
    for seed in SEEDS:
        for epsilon in (10.0, 1.0):
            for method in COLORED:
                yield Run("celeba", method, epsilon, seed)
    # A release for who trains a network on its samples.
    for seed in SEEDS:
        for dataset in ("fashion_mnist", "mnist"):
            for epsilon in (10.0, 1.0):
                yield Run(dataset, GRAINED, epsilon, seed)
        for epsilon in (10.0, 1.0):
            yield Run("mnist", FRAMED_GRAINED, epsilon, seed)
    # One critic without owners, on the same prior.
    for seed in SEEDS:
        for dataset in ("mnist", "fashion_mnist"):
            yield Run(dataset, REFINED, 10.0, seed)
    # Does the refiner need the label?
    for dataset, epsilon in (
        ("celeba", 1.0),
        ("celeba", 10.0),
        ("fashion_mnist", 10.0),
        ("mnist", 10.0),
    ):
        for seed in SEEDS:
            yield Run(dataset, "efsgd-prior/with-label", epsilon, seed)
    on_prior = ("error-feedback", "reconstruction", "noise-injection", "adversarial")
    critics = ("dp-sgd-critic", "efsgd-critic", "efsgd-critic/no-error-feedback")
    compared = [
        *((f"efsgd/no-{part}", 10.0) for part in PARTS),
        *((f"efsgd-prior/no-{part}", 10.0) for part in on_prior),
        *((method, NON_PRIVATE) for method in ("efsgd-prior", "efsgd")),
        *(
            (method, 10.0)
            for method in ("efsgd/with-classifier", "gs-wgan", "dp-gan-dpac", *critics)
        ),
    ]
    for dataset in ("mnist", "fashion_mnist"):
        for method, epsilon in compared:
            for seed in SEEDS:  # all seeds first: fewer decide nothing
                yield Run(dataset, method, epsilon, seed)


RUNS: tuple[Run, ...] = tuple(dict.fromkeys(_runs()))


def missing(results: Path) -> list[Run]:
    """The runs of the list that have no record in `results`, with either curve."""
    return [run for run in RUNS if not any((results / name).exists() for name in names(run))]


def names(run: Run) -> tuple[str, str]:
    """What the record of a run may be called: of today's preset, and with the former contrast curve."""
    config = run.config()
    return config.record_name(), config.replace(prior_curve="logistic").record_name()


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 when a run failed."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.studies.campaign", description=__doc__
    )
    parser.add_argument("--results", type=Path, default=None, help="default: results of the clone")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--methods", nargs="+", default=None, help="only these")
    parser.add_argument("--list", action="store_true", help="only list what is missing")
    options = parser.parse_args(arguments)
    results = options.results or project_root() / "results"
    left = missing(results)
    print(f"{len(RUNS) - len(left)} of {len(RUNS)} runs have their record", flush=True)
    if options.methods:
        left = [run for run in left if run.method in options.methods]
    if options.list:
        print(*left, sep="\n")
        return 0
    failed = run_all(
        [run.config() for run in left], results_dir=results, processes=options.processes
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
