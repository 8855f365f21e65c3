"""Features of a residual network trained on real data, kept from one set to the next.

Training takes as long as judging a set, so the weights can be cached. They are learned from private
records, and so the folder that keeps them is private.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation import deep_judge, residual_nets
from dpgen_core.evaluation.classifiers import pick_device
from dpgen_core.evaluation.deep_judge import features_of, train_judge
from dpgen_core.evaluation.kept import file_name, load_weights, write_weights
from dpgen_core.evaluation.protocols import DeepProtocol, describe
from dpgen_core.evaluation.residual_nets import build_network

_SEED = 0  # of this one network, so that every set is seen through the same features


def reference_features(
    train: ImageData,
    test: ImageData,
    protocol: DeepProtocol,
    *,
    device: str = "auto",
    cache_dir: Path | None = None,
) -> Callable[[Tensor], Tensor]:
    """Images in [0, 1], (n, c, h, w) -> features (n, width) by the protocol's first network.

    It learns from `train`, all of it, as from any set; its epoch is chosen on a part held out.
    """
    where = pick_device(device)
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, then overwritten
        options = {"channels": train.images.shape[1], "num_classes": len(train.class_names)}
        network = build_network(protocol.networks[0], **options).to(where)
    name = protocol.networks[0]
    code = [deep_judge.__file__, residual_nets.__file__]
    file = file_name(train, name, [describe(protocol), where.type], code)
    path = None if cache_dir is None else Path(cache_dir) / file
    if path is not None and load_weights(path, network):
        return partial(features_of, network.eval())
    judged = train_judge(train, test, protocol, network=name, seed=_SEED, device=device)
    if path is not None:
        write_weights(path, judged.network)
    return partial(features_of, judged.network)
