"""One run over several processes: every rank holds the owners of some of the shards.

A rank trains its own owners and clips their contributions. Sums meet in a reduction; the first rank
adds the noise, once, and charges the release before anybody uses it. The number of ranks changes
only the order of sums. All ranks are one trusted party, which shares key and owners' state. Built on
`torch.distributed` (gloo between CPUs, NCCL between GPUs), started by ``torchrun``. Ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor

from dpgen_core.training.threads import parted


@dataclass(frozen=True)
class Ranks:
    """This process's place among the others; by default it is alone and every exchange is free."""

    rank: int = 0  # rank 0 keeps the books (journal, ledger, checkpoints, record)
    size: int = 1  # number of processes
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))  # of this rank

    @property
    def first(self) -> bool:
        """Whether this is the rank that keeps the books."""
        return self.rank == 0

    def part(self, count: int) -> range:
        """This rank's consecutive part of ``range(count)``; sizes differ by one at most."""
        return parted(count, self.size)[self.rank]

    def sum(self, values: Tensor) -> Tensor:
        """The sum over ranks, the same bits on each of them."""
        if self.size > 1:
            dist.reduce(values, 0)
            dist.broadcast(values, 0)
        return values

    def join(self, rows: Tensor) -> Tensor:
        """All ranks' rows (n_r, ...) in the order of ranks, on every rank: (sum n_r, ...)."""
        if self.size == 1:
            return rows
        counts = torch.zeros(self.size, dtype=torch.int64, device=rows.device)
        counts[self.rank] = len(rows)
        dist.all_reduce(counts)
        padded = rows.new_zeros(int(counts.max()), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, counts.tolist(), strict=True)])

    def collect(self, rows: Tensor) -> Tensor:
        """As `join`, but to the first rank alone; the others get their own rows back."""
        whole = self.join(rows)
        return whole if self.first else rows

    def share(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The first rank's tensors, on the CPU of every rank; what the others pass is ignored."""
        if self.size == 1:
            return dict(tensors or {})
        whole = {name: value.cpu().contiguous() for name, value in (tensors or {}).items()}
        packed = torch.frombuffer(bytearray(save(whole)), dtype=torch.uint8)
        content = torch.zeros(self.decide(len(packed)), dtype=torch.uint8, device=self.device)
        if self.first:
            content.copy_(packed)
        dist.broadcast(content, 0)
        return load(content.cpu().numpy().tobytes())

    def decide(self, value: int) -> int:
        """The first rank's value, on every rank."""
        if self.size == 1:
            return value
        decision = torch.tensor([value], device=self.device)
        dist.broadcast(decision, 0)
        return int(decision)


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
