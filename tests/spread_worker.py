"""What each rank of `test_ranks` runs: ``main(FOLDER, CASE, ...)``.

A case is the name of a method, which is trained; ``run``, a whole run; or ``lose``, one that loses a
rank. Several of them share the seconds that a process takes to start.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import save_file

from dpgen_core import experiment
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data import sets as data
from dpgen_core.experiment import run_experiment
from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.ranks import Ranks, connected
from dpgen_core.training.sampler import prior_basis
from dpgen_core.training.session import make_prior

ROUNDS, KILLED_IN = 5, 4
METHOD = "efsgd-prior"


def configure(method: str = METHOD) -> ExperimentConfig:
    return make_config(
        dataset="glyphs",
        method=method,
        profile="smoke",
        num_records=320,
        num_shards=31,  # an odd number: the ranks' parts differ in size
        sampling_rate=0.4,
        rounds=ROUNDS,
        prior_cells=8,  # so few records would carry one
        fake_pool=100,  # blocks of different sizes
        max_grad_norm=0.5,  # some are clipped
        checkpoint_every=2,
        synthetic_records=40,
        real_records=40,
    )


def train(ranks: Ranks, method: str = METHOD) -> dict[str, torch.Tensor]:
    """Five rounds; releases, private figures and everything a checkpoint would hold.

    Only the order of sums depends on the number of ranks. In float32 its rounding errors can move
    an activation across the kink of a leaky ReLU, which changes a gradient by a hundredth part. The
    rounds are therefore computed in float64, where rounding is 1e9 times smaller.
    """
    config = configure(method)
    records = data.load("glyphs", "train", num_records=config.privacy.num_records, seed=0)
    on_prior = config.prior.modes > 0
    prior = make_prior(config, records, "key", device=ranks.device) if on_prior else None
    torch.set_default_dtype(torch.float64)
    try:
        if prior is not None:
            exact = {name: value.double() for name, value in prior.tensors().items()}
            basis = prior_basis(config, ranks.device)
            prior = FrequencyPrior.from_tensors(exact, basis, ranks.device)
        doubled = SimpleNamespace(images=records.images.double(), labels=records.labels)
        trainer = OwnerTrainer(
            config, doubled, "key", device=ranks.device, prior=prior, ranks=ranks
        )
        trainer.warm_up()
        seen = {}
        for index in range(ROUNDS):
            report = trainer.compute(index)
            trainer.apply(report)
            seen[f"release.{index}"] = report.release
            seen[f"private.{index}"] = torch.tensor(list(report.private.values()))
        return seen | trainer.tensors()
    finally:
        torch.set_default_dtype(torch.float32)


def main(folder: str, *cases: str) -> None:
    faulthandler.dump_traceback_later(300, exit=True)  # a rank that waits for ever ends the others
    torch.set_num_threads(int(os.environ.get("DPGEN_TEST_THREADS", "1")))
    with connected() as ranks:
        for case in cases:
            if case in ("run", "lose"):
                run(ranks, Path(folder), lose=case == "lose")
            else:
                found = train(ranks, case)
                ends = {n: v for n, v in found.items() if n.startswith(("release", "generator"))}
                kept = found if ranks.first else ends
                flat = {name: value.contiguous() for name, value in kept.items()}
                save_file(flat, trained(Path(folder), case, ranks.rank))


def trained(folder: Path, method: str, rank: int) -> Path:
    return folder / f"{method.replace('/', '-')}-rank{rank}.safetensors"


def run(ranks: Ranks, folder: Path, *, lose: bool) -> None:
    experiment.evaluate = lambda *arguments, **keywords: {}  # type: ignore[assignment]

    def after_round(done: int) -> None:
        if lose and ranks.rank == 1 and done == KILLED_IN:
            os.kill(os.getpid(), signal.SIGKILL)

    run_experiment(
        configure(), results_dir=folder, progress=False, after_round=after_round, ranks=ranks
    )
