"""Features of a residual network trained on real data, kept from one set to the next.

Training takes as long as judging a set, so the weights can be cached. They are learned from private
records, and so the folder that keeps them is private.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dpgen_core.data.sets import ImageData
from dpgen_core.evaluation import deep_judge, residual_nets
from dpgen_core.evaluation.classifiers import pick_device, write_weights
from dpgen_core.evaluation.deep_judge import features_of, train_judge
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
    path = None if cache_dir is None else Path(cache_dir) / _file_name(train, protocol, where.type)
    if path is not None:
        with suppress(FileNotFoundError, SafetensorError):  # absent or damaged
            network.load_state_dict(load_file(path))
            return partial(features_of, network.eval())
    name = protocol.networks[0]
    judged = train_judge(train, test, protocol, network=name, seed=_SEED, device=device)
    if path is not None:
        write_weights(path, judged.network)
    return partial(features_of, judged.network)


def _file_name(train: ImageData, protocol: DeepProtocol, device: str) -> str:
    """One name for all that decides the weights."""
    settings = [describe(protocol), device, list(train.images.shape), torch.__version__]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for code in (deep_judge.__file__, residual_nets.__file__):
        digest.update(Path(code).read_bytes())
    for tensor in (train.images, train.labels):
        digest.update(tensor.cpu().contiguous().numpy().data)
    return f"{train.name}-{protocol.networks[0]}-{digest.hexdigest()[:16]}.safetensors"
