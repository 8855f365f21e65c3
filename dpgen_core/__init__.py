"""Differentially private image generation with error-feedback SGD: a thin, tested core.

Six names carry most uses, and none of them needs further reading:

* `make_config` checks settings and calibrates the noise to a budget;
* `run_experiment` turns a configuration into a record on disk;
* ``load(path).sample(count=100)`` draws from a released generator, see `training.sampler`;
* `epsilon_spent` and `calibrate_noise` account for rounds, without PyTorch;
* `EFSGD` is error-feedback DP-SGD as a PyTorch optimizer. It keeps one memory on the server;
  ``make_config(method="efsgd")`` runs owner-side error feedback instead, see `mechanism`.

    >>> round(epsilon_spent(noise_multiplier=2.5, sampling_rate=0.1, rounds=500, delta=1e-5), 1)
    9.3

The rooms and their order are in ``book/architecture.md``.
"""

from typing import TYPE_CHECKING

import lazy_loader

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dpgen_core.accounting.calibration import (
        calibrate_noise as calibrate_noise,
        epsilon_spent as epsilon_spent,
    )
    from dpgen_core.accounting.events import BudgetExceeded as BudgetExceeded
    from dpgen_core.accounting.ledger import Ledger as Ledger
    from dpgen_core.checks import InvalidArgument as InvalidArgument
    from dpgen_core.config import ExperimentConfig as ExperimentConfig, make_config as make_config
    from dpgen_core.experiment import run_experiment as run_experiment
    from dpgen_core.mechanism import EFSGD as EFSGD
    from dpgen_core.records import Record as Record
    from dpgen_core.training.sampler import load as load

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "accounting": ["BudgetExceeded", "Ledger", "calibrate_noise", "epsilon_spent"],
        "checks": ["InvalidArgument"],
        "config": ["ExperimentConfig", "make_config"],
        "experiment": ["run_experiment"],
        "mechanism": ["EFSGD"],
        "records": ["Record"],
        "training.sampler": ["load"],
    },
)
