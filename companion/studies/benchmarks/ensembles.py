"""A critic step of the joining owners: one batched call against the lineage's loop over critics."""

from __future__ import annotations

import copy
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from companion.studies.benchmarks.timing import alternate, finish
from companion.studies.cost_model import STEP_PASSES, matmul_rate
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.config.groups import ContributionConfig, CriticConfig
from dpgen_core.models.critics import Critic, build_critic
from dpgen_core.training.owners import OwnerEnsemble
from dpgen_core.training.threads import using_threads

WIDTHS = {"mlp": 64, "conv": 32}  # the presets' own
STEPS = {"mlp": 10, "conv": 1}  # critic steps per call; one of a convolution is long enough
BATCH, RECORDS, POOL, CLASSES = 32, 60, 320, 10
SHAPES = ((1, 28, 28), (3, 32, 32))
GRID = tuple((k, cohort) for k in (250, 1000, 4000) for cohort in (10, 100, 400) if cohort <= k)


class Case:
    """An ensemble on random codes, and the same critics one by one with autograd and Adam."""

    def __init__(
        self,
        critic: str,
        shape: tuple[int, int, int],
        num_shards: int,
        width: int,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(0)
        basis = FrequencyBasis(shape, 14, device)
        self.device = torch.device(device)
        self.critic: Critic = build_critic(
            critic, basis=basis, num_classes=CLASSES, width=width, classify=False
        ).to(device)
        self.ensemble = OwnerEnsemble(
            self.critic,
            torch.randn(num_shards, RECORDS, basis.dim).to(device),
            torch.randint(CLASSES, (num_shards, RECORDS)).to(device),
            CriticConfig(batch_size=BATCH, learning_rate=1e-3),
            ContributionConfig(),
            num_classes=CLASSES,
            match_scale=torch.ones(basis.dim).to(device),
            seed=0,
        )
        self.pool = torch.randn(POOL, basis.dim).to(device)
        self.labels = torch.arange(POOL, device=device) % CLASSES

    def batched(self, cohort: int, steps: int) -> None:
        """All joining owners at once."""
        joined = torch.arange(cohort, device=self.device)
        self.ensemble.train(joined, self.pool, self.labels, steps=steps, round_index=0)
        finish(self.device)

    def own(self, cohort: int) -> list[tuple[Critic, torch.optim.Adam]]:
        """A critic and an optimizer for each joining owner."""
        critics = [copy.deepcopy(self.critic) for _ in range(cohort)]
        return [(c, torch.optim.Adam(c.parameters(), lr=1e-3, betas=(0.5, 0.9))) for c in critics]

    def loop(self, owners: list[tuple[Critic, torch.optim.Adam]], steps: int) -> None:
        """The same steps, critic after critic."""
        codes, labels = self.ensemble.codes, self.ensemble.labels
        for shard, (critic, optimizer) in enumerate(owners):
            for _ in range(steps):
                pick = torch.randint(RECORDS, (BATCH,), device=self.device)
                real, classes = codes[shard][pick], labels[shard][pick]
                turn = torch.randint(POOL // CLASSES, (BATCH,), device=self.device)
                fake = self.pool[classes + CLASSES * turn]
                mix = torch.rand(BATCH, 1, device=self.device)
                between = (mix * real + (1 - mix) * fake).requires_grad_(True)
                total = critic(between, classes).sum()
                (slope,) = torch.autograd.grad(total, between, create_graph=True)
                penalty = ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()
                loss = critic(fake, classes).mean() - critic(real, classes).mean() + 10 * penalty
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        finish(self.device)


def _operations(case: Case) -> float:
    """Float operations of one owner's critic step."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        case.critic(case.pool[:BATCH], case.labels[:BATCH])
    return STEP_PASSES * counter.get_total_flops()


def against_the_loop(
    critic: str, width: int, cohort: int = 100, device: str = "cpu"
) -> dict[str, Any]:
    """Seconds per step of the cohort, batched and looped, each with its best number of threads."""
    case, steps = Case(critic, SHAPES[0], cohort, width, device), STEPS[critic]
    cores = os.cpu_count() or 1
    owners = case.own(cohort)
    best: dict[str, float] = {}
    # A GPU gains nothing from more threads, and its loop takes long.
    numbers, repeats = (sorted({1, cores}), 5) if device == "cpu" else ([1], 3)
    for number in numbers:
        with using_threads(number):
            batched, looped = alternate(
                lambda: case.batched(cohort, steps),
                lambda: case.loop(owners, steps),
                repeats=repeats,
            )
        best["batched"] = min(batched / steps, best.get("batched", batched))
        best["loop"] = min(looped / steps, best.get("loop", looped))
    operations = cohort * _operations(case)
    rate = matmul_rate(cores, device)
    return {
        "device": device,
        "critic": critic,
        "width": width,
        "cohort": cohort,
        "batched_seconds": best["batched"],
        "loop_seconds": best["loop"],
        "ratio": best["loop"] / best["batched"],
        "operations": operations,
        "matmul_rate": rate,
        "share_of_matmul": operations / best["batched"] / rate,
        "loop_share_of_matmul": operations / best["loop"] / rate,
    }


def grid_case(
    critic: str, shape: tuple[int, int, int], num_shards: int, cohort: int
) -> dict[str, Any]:
    """Seconds of a critic step and peak memory of one setting, in a process of its own."""
    case, steps = Case(critic, shape, num_shards, WIDTHS[critic]), STEPS[critic]
    (seconds,) = alternate(lambda: case.batched(cohort, steps), repeats=2)
    return {
        "critic": critic,
        "image": "x".join(map(str, shape)),
        "shards": num_shards,
        "cohort": cohort,
        "step_seconds": seconds / steps,
        "peak_gigabytes": peak_gigabytes(),
    }


def peak_gigabytes() -> float:
    """This process's peak memory; `getrusage` would start from its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def grid() -> list[dict[str, Any]]:
    """`grid_case` over both critics and image sizes."""
    context = get_context("spawn")
    rows = []
    for critic in WIDTHS:
        for shape in SHAPES:
            for num_shards, cohort in GRID:
                with ProcessPoolExecutor(1, mp_context=context) as pool:
                    row = pool.submit(grid_case, critic, shape, num_shards, cohort).result()
                print(row, flush=True)
                rows.append(row)
    return rows
