"""Faults that break the guarantee, planted by patching the code for the duration of a `with` block.

An audit that misses halved noise proves nothing about the full noise. `training_checks` is the
audit; `tests/studies/test_training_checks.py` lists which of its checks catches which fault.
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
from dpgen_core.training import owner_trainer, session
from dpgen_core.training.owner_trainer import OwnerTrainer
from dpgen_core.training.report import RoundReport


@contextmanager
def half_noise() -> Iterator[None]:
    """Noise of half the accounted standard deviation."""
    original = owner_trainer.sanitize
    with patch.object(owner_trainer, "sanitize", lambda v, c, s, g: original(v, c, s / 2, g)):
        yield


@contextmanager
def no_clip() -> Iterator[None]:
    """Contributions are not clipped, and the last check before the sum is gone as well."""

    def unclipped(
        contributions: Tensor, bound: float, mode: str = "joint"
    ) -> tuple[Tensor, Tensor]:
        return contributions, contributions.flatten(1).norm(dim=1)

    def ungated(clipped: Tensor, bound: float, sigma: float, source: HiddenStream) -> Tensor:
        return clipped.sum(0) + sigma * bound * source.normal(clipped.shape[1:]).to(clipped)

    with (
        patch.object(error_memory, "clip_contributions", unclipped),
        patch.object(owner_trainer, "sanitize", ungated),
    ):
        yield


@contextmanager
def shared_memory() -> Iterator[None]:
    """Residuals are averaged over all owners, as if one memory on the server held them."""
    original = ErrorMemory.feed_back

    def leaking(memory: ErrorMemory, *arguments: Any) -> tuple[Tensor, Tensor]:
        answer = original(memory, *arguments)
        memory.residuals[:] = memory.residuals.mean(0, keepdim=True)
        return answer

    with patch.object(ErrorMemory, "feed_back", leaking):
        yield


@contextmanager
def fixed_size_draws() -> Iterator[None]:
    """Exactly q K owners join, drawn without replacement."""

    def draw(trainer: OwnerTrainer, index: int, attempt: int) -> Tensor:
        config = trainer.config
        owners = config.privacy.num_shards
        generator = stream(trainer._key, "coins", index, attempt)
        order = torch.randperm(owners, generator=generator)
        return order[: round(config.privacy.sampling_rate * owners)].sort().values

    with patch.object(OwnerTrainer, "_join", draw):
        yield


@contextmanager
def private_labels() -> Iterator[None]:
    """The labels asked for are drawn from the private records' labels."""
    original = OwnerTrainer.latents

    def drawn(trainer: OwnerTrainer, name: str, index: int, count: int) -> tuple[Tensor, Tensor]:
        latents, labels = original(trainer, name, index, count)
        held = trainer.ensemble.labels.flatten()
        if name == "round":  # the pool must hold every class
            pick = torch.randint(len(held), (count,), generator=stream(trainer._key, index))
            labels = held.sort().values[pick]
        return latents + 1e-3 * held.double().mean().float(), labels

    with patch.object(OwnerTrainer, "latents", drawn):
        yield


@contextmanager
def uncharged_repeat() -> Iterator[None]:
    """After a resume a release is repeated with fresh noise and without a charge."""

    def careless(run: Any) -> list[RoundReport]:
        journaled = [note.index for note in run.workspace.journal if note.name == "rounds"]
        reports = []
        for index in range(run.next_round, max(journaled, default=-1) + 1):
            reports.append(run.trainer.compute(index, attempt=1))
            run.trainer.apply(reports[-1])
        return reports

    with patch.object(session.Session, "_replay", careless):
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
