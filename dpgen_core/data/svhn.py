"""SVHN: house numbers cut to single digits, 32 x 32 in color, from two MATLAB files.

Digits are labeled 1 to 10 in the files, where 10 is the digit 0
(http://ufldl.stanford.edu/housenumbers/). The extra training records are not used.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import io

from dpgen_core.data.published import Files, PathOf, PublishedSet
from dpgen_core.data.sources import DIGITS, DatasetSpec, Loaded

_NAME = "{}_32x32.mat"


def _files() -> Files:
    """As torchvision's class has them."""
    from torchvision.datasets import SVHN

    known = [SVHN.split_list[split] for split in ("train", "test")]
    url, name, _ = known[0]
    return Files("", {name: md5 for _, name, md5 in known}, (url.removesuffix(name),))


def _read(path_of: PathOf, split: str) -> Loaded:
    content = io.loadmat(path_of(_NAME.format(split)), variable_names=("X", "y"))
    images = torch.from_numpy(content["X"]).permute(3, 2, 0, 1)  # (h, w, c, N) -> (N, c, h, w)
    labels = torch.from_numpy(content["y"].astype(np.int64)).flatten()  # (N, 1) -> (N,)
    return images, labels.masked_fill(labels == 10, 0)


SVHN = PublishedSet(DatasetSpec("svhn", (3, 32, 32), DIGITS), 73_257, _files, _read)
