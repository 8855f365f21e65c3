"""A step of `EFSGD` against one of Opacus's `DPOptimizer`, on the same per-sample gradients."""

from __future__ import annotations

import itertools
import time
from statistics import median
from typing import Any

import torch
from opacus.optimizers import DPOptimizer
from torch import nn

from dpgen_core.mechanism.efsgd import EFSGD

BATCH, REPEATS = 256, 301
MODELS = {"small": (196, 64, 64, 10), "large": (784, 256, 10)}


def step(model: str, memory: bool) -> dict[str, Any]:
    """Median seconds of either step, taken in turns; setting the gradients is not timed."""
    torch.manual_seed(0)
    sizes = MODELS[model]
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    weights = [p for layer in layers for p in layer.parameters()]
    gradients = [torch.randn(BATCH, *p.shape) for p in weights]
    shared = {"max_grad_norm": 1.0, "noise_multiplier": 1.0, "expected_batch_size": BATCH}
    ours = EFSGD(
        weights,
        lr=0.1,
        max_error_norm=0.5 if memory else 0.0,
        max_residual_norm=0.1,
        generator=torch.Generator(),
        **shared,  # type: ignore[arg-type]
    )
    theirs = DPOptimizer(torch.optim.SGD(weights, lr=0.1), **shared)  # type: ignore[arg-type]
    seconds: dict[str, list[float]] = {"ours": [], "opacus": []}
    for _ in range(REPEATS + 1):
        for name, optimizer in (("ours", ours), ("opacus", theirs)):
            for p, gradient in zip(weights, gradients, strict=True):
                p.grad_sample = gradient.clone()  # type: ignore[attr-defined]
            started = time.perf_counter()
            optimizer.step()
            seconds[name].append(time.perf_counter() - started)
            if name == "opacus":
                theirs.zero_grad()
    times = {name: median(found[1:]) for name, found in seconds.items()}
    return {
        "model": model,
        "memory": memory,
        "parameters": sum(p.numel() for p in weights),
        "batch": BATCH,
        "ours_seconds": times["ours"],
        "opacus_seconds": times["opacus"],
        "ratio": times["ours"] / times["opacus"],
    }
