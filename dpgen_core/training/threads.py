"""Parts of a batch on threads, instead of all threads on every small operation.

The owners' operations are many and short: waking a second core for each costs more than it saves,
so whole parts of the batch run side by side. Source: ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """``[work(part) for part in parts]``, on as many threads as torch may use.

    `work` must touch nothing that another part's work touches, and enter `torch.no_grad` itself.
    """
    threads = min(torch.get_num_threads(), len(parts))
    if threads <= 1:
        return [work(part) for part in parts]
    # New threads take over torch's setting.
    with using_threads(1), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))


def parted(count: int, number: int) -> list[range]:
    """``range(count)`` in `number` consecutive parts, whose sizes differ by one at most."""
    ends = [count * i // number for i in range(number + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


@contextmanager
def using_threads(number: int) -> Iterator[None]:
    """Let torch use that many threads per operation, and as many as before afterwards."""
    kept = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(kept)
