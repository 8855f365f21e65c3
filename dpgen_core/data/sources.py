"""What a source of a named data set has to offer, and what it is asked for.

`sets.SOURCES` lists them: one entry is all that a new data set needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from dpgen_core.checks import check_int
from dpgen_core.streams import stream

Shape = tuple[int, int, int]  # (c, h, w)
Loaded = tuple[Tensor, Tensor]  # images (n, c, h, w) and labels (n,)
DIGITS = tuple(str(digit) for digit in range(10))  # class names


@dataclass(frozen=True)
class DatasetSpec:
    """What is public about a data set."""

    name: str  #: key in `sets.DATASETS`
    image_shape: Shape  #: (c, h, w)
    class_names: tuple[str, ...]  #: one per class

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return len(self.class_names)


@dataclass(frozen=True)
class Subset:
    """Which records of a data set are asked for; all of it is public."""

    name: str  #: the data set's
    split: str  #: one of the source's `splits`
    num_records: int | None  #: None is all
    seed: int  #: decides which, without a look at the records

    def rows(self, available: int) -> Tensor:
        """Their places among the `available` records of the split, (n,).

        Raises `InvalidArgument` where more are asked for than there are.
        """
        count = self.num_records
        if count is None or count == available:
            return torch.arange(available)
        fix = f"num_records={available}, all of the {self.split} split of {self.name}"
        check_int("num_records", count, low=1, high=available, fix=fix)
        generator = stream(self.seed, "subset", self.name, self.split)
        return torch.randperm(available, generator=generator)[:count]


class Source(Protocol):
    """A named data set.

    Sizes and class names come from public facts, not from the records, and a record's place does not
    depend on other records.
    """

    @property
    def spec(self) -> DatasetSpec:
        """Name, shape and classes."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of its splits, ``train`` and ``test`` among them."""

    def load(self, folder: Path, subset: Subset, shape: Shape) -> Loaded:
        """Images float32 in [0, 1], (n, c, h, w), and labels int64 in 0..classes-1, (n,).

        `folder` is the data folder, which may be read-only; `shape` is that of the spec, but for
        data sets of `sets.SIZED`. Raises `InvalidArgument` for damaged files, `FileNotFoundError`
        where there are none.
        """

    def train_size(self, folder: Path, side: int) -> int:
        """Records in the training split at that side in pixels, reading no images."""

    def available(self, folder: Path, *, download: bool) -> bool:
        """Whether `load` would succeed; with `download`, missing files are fetched first."""
