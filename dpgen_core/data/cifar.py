"""CIFAR-10: 32 x 32 photographs in color, from the archive of its binary version.

The version for Python, which torchvision reads, is pickled: to read it would be to run what it says.
Here a record is a byte for the label and three planes of pixels, row by row
(https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from __future__ import annotations

import math
import tarfile

import torch

from dpgen_core.data.published import Files, PathOf, PublishedSet
from dpgen_core.data.sources import DatasetSpec, Loaded

_ARCHIVE = "cifar-10-binary.tar.gz"
_FILES = Files(
    folder="",
    sums={_ARCHIVE: "c32a1d4ab5d03f1284b67883e8d87530"},
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
)
_PARTS = {
    "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
    "test": ["test_batch.bin"],
}
_SHAPE = (3, 32, 32)
_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def _read(path_of: PathOf, split: str) -> Loaded:
    wanted = {f"cifar-10-batches-bin/{part}": part for part in _PARTS[split]}
    found: dict[str, bytes] = {}
    with tarfile.open(path_of(_ARCHIVE)) as archive:
        for member in archive:  # in one pass: going back would unpack from the start again
            file = archive.extractfile(member) if member.name in wanted else None
            if file is not None:
                found[wanted[member.name]] = file.read()
    content = bytearray().join(found[part] for part in _PARTS[split])
    rows = torch.frombuffer(content, dtype=torch.uint8).view(-1, 1 + math.prod(_SHAPE))
    return rows[:, 1:].unflatten(1, _SHAPE), rows[:, 0].long()  # (N, 3, 32, 32), (N,)


CIFAR10 = PublishedSet(DatasetSpec("cifar10", _SHAPE, _CLASSES), 50_000, lambda: _FILES, _read)
