"""PneumoniaMNIST: chest X-rays of children, 28 x 28 in gray, normal or with pneumonia.

From MedMNIST v2 (Yang et al., 2023), CC BY 4.0. Its parts for training and for validation are both
``train`` here; the ``test`` part is from other children. Other sets of MedMNIST are read as archives
of one's own, see `archives`.
"""

from __future__ import annotations

import numpy as np
import torch

from dpgen_core.data.published import Files, PathOf, PublishedSet
from dpgen_core.data.sources import DatasetSpec, Loaded

_FILE = "pneumoniamnist.npz"
_PARTS = {"train": ("train", "val"), "test": ("test",)}  # by our name of the split


def _files() -> Files:
    sums = {_FILE: "28209eda62fecd6e6a2d98b1501bb15f"}
    return Files("medmnist", sums, ("https://zenodo.org/records/10519652/files/",))


def _read(path_of: PathOf, split: str) -> Loaded:
    with np.load(path_of(_FILE), allow_pickle=False) as archive:
        images, labels = (
            np.concatenate([archive[f"{part}_{kind}"] for part in _PARTS[split]])
            for kind in ("images", "labels")
        )
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels.astype(np.int64)).flatten()


PNEUMONIA_MNIST = PublishedSet(
    DatasetSpec("pneumoniamnist", (1, 28, 28), ("normal", "pneumonia")), 5_232, _files, _read
)
