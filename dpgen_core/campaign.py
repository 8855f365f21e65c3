"""The runs whose records are committed: one list, one command, skipping what is done.

``python -m dpgen_core.campaign [--results FOLDER]`` runs every entry of `RUNS` whose record is not there
yet. A record's name holds a hash of its settings, so a changed preset is run anew and the old record
stays until it is deleted by hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dpgen_core.config import ExperimentConfig, make_config
from dpgen_core.experiment import run_experiment
from dpgen_core.tables import project_root


@dataclass(frozen=True)
class Run:
    """One committed run at profile ``quick``."""

    dataset: str
    method: str
    epsilon: float

    def config(self) -> ExperimentConfig:
        """Its configuration."""
        return make_config(dataset=self.dataset, method=self.method, epsilon=self.epsilon)


RUNS: tuple[Run, ...] = (
    Run("mnist", "efsgd-prior", 10.0),
    Run("mnist", "gaussian", 10.0),
    Run("mnist", "gaussian", 1.0),
    Run("mnist", "efsgd", 10.0),
    Run("mnist", "efsgd/no-error-feedback", 10.0),
    Run("fashion_mnist", "efsgd-prior", 3.0),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m dpgen_core.campaign", description=__doc__)
    parser.add_argument("--results", type=Path, default=None, help="default: results of the clone")
    results = parser.parse_args(arguments).results or project_root() / "results"
    for run in RUNS:
        print(run_experiment(run.config(), results_dir=results).path, flush=True)


if __name__ == "__main__":
    main()
