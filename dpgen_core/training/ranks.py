"""One run over several processes: every rank owns some of the shards.

Shards are data owners, so they part naturally: a rank draws its own shards' coins, trains their critics and
clips their contributions. Sums meet in a reduction, the first rank adds the noise, once, and charges the
release before anybody uses it. Every draw is keyed by (seed, round, shard), so the number of ranks changes
nothing but the order of sums.

Ranks are one trusted party: they share the secret key and, for checkpoints, owners' state. Built on
`torch.distributed` (gloo between CPUs, NCCL between GPUs); started by ``torchrun``. Source: ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from safetensors.torch import load as unpack, save as pack
from torch import Tensor

from dpgen_core.training.threads import parted


@dataclass(frozen=True)
class Ranks:
    """This process's place among the others; by default it is alone and every exchange is free.

    Attributes:
        rank: 0-based; rank 0 keeps the books (journal, ledger, checkpoints, record).
        size: number of processes.
        device: where this rank computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the rank that keeps the books."""
        return self.rank == 0

    def part(self, count: int) -> range:
        """The positions out of ``range(count)`` that are this rank's: consecutive, sizes within one."""
        return parted(count, self.size)[self.rank]

    def sum(self, values: Tensor) -> Tensor:
        """The sum over ranks, the same bits on each of them."""
        if self.size > 1:
            dist.reduce(values, 0)
            dist.broadcast(values, 0)
        return values

    def join(self, rows: Tensor) -> Tensor:
        """All ranks' rows (n_r, ...) in the order of ranks, on every rank: (sum n_r, ...)."""
        return self._gather(rows, everywhere=True)

    def collect(self, rows: Tensor) -> Tensor:
        """As `join`, but to the first rank alone; the others get their own rows back."""
        return self._gather(rows, everywhere=False)

    def share(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The first rank's tensors, on the CPU of every rank; what the others pass is ignored."""
        if self.size == 1:
            return dict(tensors or {})
        content = torch.zeros(0, dtype=torch.uint8)
        if self.first:
            whole = {name: value.cpu().contiguous() for name, value in (tensors or {}).items()}
            content = torch.frombuffer(bytearray(pack(whole)), dtype=torch.uint8)
        length = torch.tensor([len(content)], device=self.device)
        dist.broadcast(length, 0)
        if not self.first:
            content = torch.empty(int(length), dtype=torch.uint8)
        content = content.to(self.device)
        dist.broadcast(content, 0)
        return unpack(content.cpu().numpy().tobytes())

    def decide(self, value: int) -> int:
        """The first rank's value, on every rank."""
        if self.size == 1:
            return value
        decision = torch.tensor([value], device=self.device)
        dist.broadcast(decision, 0)
        return int(decision)

    def _gather(self, rows: Tensor, *, everywhere: bool) -> Tensor:
        if self.size == 1:
            return rows
        counts = torch.zeros(self.size, dtype=torch.int64, device=rows.device)
        counts[self.rank] = len(rows)
        dist.all_reduce(counts)
        if not counts.any():
            return rows
        padded = rows.new_zeros(int(counts.max()), *rows.shape[1:])
        padded[: len(rows)] = rows
        receives = everywhere or self.first
        parts = [torch.empty_like(padded) for _ in range(self.size)] if receives else []
        if everywhere:
            dist.all_gather(parts, padded)
        else:
            dist.gather(padded, parts or None, 0)
        if not parts:
            return rows
        return torch.cat([part[:n] for part, n in zip(parts, counts.tolist(), strict=True)])


ALONE = Ranks()


@contextmanager
def connected() -> Iterator[Ranks]:
    """The ranks that ``torchrun`` started, or this process alone.

    Example:
        >>> with connected() as ranks:
        ...     list(ranks.part(3))
        [0, 1, 2]
    """
    gpu = torch.cuda.is_available()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks(device=torch.device("cuda" if gpu else "cpu"))
        return
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
    dist.init_process_group("nccl" if gpu else "gloo", device_id=device if gpu else None)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
