"""Faults that break the guarantee, planted by patching the code for the duration of a `with` block.

An audit that catches nothing when the noise is halved proves nothing when it is not; `fault_audit` is the
audit, and `tests/test_fault_audit.py` says which of its checks catches which fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from dpgen_core.mechanism import error_memory
from dpgen_core.mechanism.error_memory import ErrorMemory
from dpgen_core.streams import HiddenStream, stream
from dpgen_core.training import owner_trainer as training
from dpgen_core.training import session
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.report import RoundReport


@contextmanager
def half_noise() -> Iterator[None]:
    """Noise of half the accounted standard deviation."""
    honest = training.sanitize
    with patch.object(training, "sanitize", lambda v, c, s, g: honest(v, c, s / 2, g)):
        yield


@contextmanager
def no_clip() -> Iterator[None]:
    """Contributions go out as they are, and the last gate is gone as well."""

    def unclipped(
        contributions: Tensor, bound: float, mode: str = "joint"
    ) -> tuple[Tensor, Tensor]:
        return contributions, contributions.flatten(1).norm(dim=1)

    def ungated(clipped: Tensor, bound: float, sigma: float, source: HiddenStream) -> Tensor:
        return clipped.sum(0) + sigma * bound * source.normal(clipped.shape[1:]).to(clipped)

    with (
        patch.object(error_memory, "clip_contributions", unclipped),
        patch.object(training, "sanitize", ungated),
    ):
        yield


@contextmanager
def shared_memory() -> Iterator[None]:
    """Residuals are averaged over all owners, as a memory on the server would do."""
    honest = ErrorMemory.feed_back

    def leaking(memory: ErrorMemory, *arguments: Any) -> tuple[Tensor, Tensor]:
        answer = honest(memory, *arguments)
        memory.residuals[:] = memory.residuals.mean(0, keepdim=True)
        return answer

    with patch.object(ErrorMemory, "feed_back", leaking):
        yield


@contextmanager
def fixed_size_draws() -> Iterator[None]:
    """Exactly q K owners join, drawn without replacement."""

    def draw(trainer: OwnerTrainer, index: int, attempt: int) -> Tensor:
        config = trainer.config
        order = torch.randperm(
            config.privacy.num_shards, generator=stream(trainer._key, "coins", index, attempt)
        )
        return (
            order[: round(config.privacy.sampling_rate * config.privacy.num_shards)].sort().values
        )

    with patch.object(OwnerTrainer, "_join", draw):
        yield


@contextmanager
def private_labels() -> Iterator[None]:
    """The labels asked for are drawn from the private records' labels."""
    honest = OwnerTrainer.latents

    def drawn(trainer: OwnerTrainer, name: str, index: int, count: int) -> tuple[Tensor, Tensor]:
        latents, labels = honest(trainer, name, index, count)
        held = trainer.ensemble.labels.flatten()
        if name == "round":  # the pool must hold every class
            pick = torch.randint(len(held), (count,), generator=stream(trainer._key, index))
            labels = held.sort().values[pick]
        return latents + 1e-3 * held.double().mean().float(), labels

    with patch.object(OwnerTrainer, "latents", drawn):
        yield


@contextmanager
def uncharged_repeat() -> Iterator[None]:
    """After a resume a release is made once more, with fresh noise and without a charge."""

    def careless(run: Any, index: int) -> RoundReport:
        known = run.workspace.attempts("rounds", index)
        report = run.trainer.compute(index, len(known))
        if not known:
            run._admit("rounds", index, 0, report.digest())
        run.trainer.apply(report)
        return report

    with patch.object(session.Session, "_round", careless):
        yield


FAULTS: Mapping[str, Callable[[], AbstractContextManager[None]]] = MappingProxyType(
    {
        "none": nullcontext,
        "noise halved": half_noise,
        "clip removed": no_clip,
        "memory shared between owners": shared_memory,
        "draws of a fixed size": fixed_size_draws,
        "labels and latents from private data": private_labels,
        "release repeated after a resume": uncharged_repeat,
    }
)
