"""Trained judges kept as files, each under a name of all that decides its weights.

What was learned from private records is private, and so is the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from dpgen_core.data.sets import ImageData
from dpgen_core.files import whole


def file_name(data: ImageData, kind: str, settings: object, code: Sequence[str]) -> str:
    """``DATA-KIND-DIGEST.safetensors``; the digest is of all that decides the weights.

    Args:
        data: what the judge learns from.
        kind: of network.
        settings: JSON-ready, with the kind of device.
        code: files whose text decides the weights.
    """
    decides = [settings, list(data.images.shape), torch.__version__]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    for file in code:
        digest.update(Path(file).read_bytes())
    for tensor in (data.images, data.labels):
        digest.update(tensor.cpu().contiguous().numpy().data)
    return f"{data.name}-{kind}-{digest.hexdigest()[:16]}.safetensors"


def load_weights(path: Path, model: nn.Module) -> bool:
    """Put the kept weights into `model`; False where they are absent or damaged."""
    weights: dict[str, Any]
    try:
        weights = load_file(path)
    except (FileNotFoundError, SafetensorError):
        return False
    model.load_state_dict(weights)
    return True


def write_weights(path: Path, model: nn.Module) -> None:
    """Keep the weights. A folder that cannot be written is no error: they are learned again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            save_file({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, partial)
