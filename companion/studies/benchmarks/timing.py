"""Timing by turns, so that a busy moment of the machine affects both sides."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def alternate(*calls: Callable[[], object], repeats: int = 5) -> list[float]:
    """Median seconds of each call, taken in turns after one to warm up."""
    seconds: list[list[float]] = [[] for _ in calls]
    for turn in range(repeats + 1):
        for call, found in zip(calls, seconds, strict=True):
            started = time.perf_counter()
            call()
            if turn:
                found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in seconds]


def finish(device: torch.device) -> None:
    """Wait for a GPU, which runs asynchronously."""
    if device.type == "cuda":
        torch.cuda.synchronize()
