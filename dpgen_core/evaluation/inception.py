"""FID, by the published Inception-v3 weights only.

The weights file is recognized by its SHA-256, which also makes it safe to unpickle. Without that
file the value is None, with a reason. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dpgen_core.checks import require
from dpgen_core.evaluation.classifiers import pick_device
from dpgen_core.pixels import check_pixels, to_bytes

WEIGHTS_FILE = "weights-inception-2015-12-05-6726825d.pth"  # torch-fidelity's release v0.2.0
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
ENVIRONMENT_NAME = "DPGEN_INCEPTION"
BATCH = 100  # images per pass


def find_weights(weights: Path | None = None) -> tuple[Path | None, str]:
    """(path, "") of the weights, at `weights` (file or folder) or in environment and cache.

    Else (None, reason); reasons are published with records and hold no absolute path.
    """
    places = {
        f"${ENVIRONMENT_NAME}": os.environ.get(ENVIRONMENT_NAME),
        "the torch hub cache (checkpoints)": Path(torch.hub.get_dir()) / "checkpoints",
    }
    if weights is not None:
        places = {"the argument weights": weights}
    seen = []
    for where, place in places.items():
        if not place:
            seen.append(f"{where}: not set")
            continue
        path = Path(place) / WEIGHTS_FILE if Path(place).is_dir() else Path(place)
        if not path.is_file():
            seen.append(f"{where}: no such file")
        elif _sha256(path) == WEIGHTS_SHA256:
            return path, ""
        else:
            seen.append(f"{where}: another file (its SHA-256 differs)")
    return None, (
        f"no FID without the published Inception weights {WEIGHTS_FILE} (torch-fidelity's release "
        f"v0.2.0); looked at {'; '.join(seen)}. Put the file there and evaluate again."
    )


def fid(real: Tensor, synthetic: Tensor, weights: Path | None = None) -> tuple[float | None, str]:
    """Frechet Inception Distance of two sets of images (n, 1 or 3, h, w), n >= 2.

    (value, "") or (None, reason); images are in [0, 1] or bytes, `weights` as in `find_weights`.
    Source: Heusel et al. (2017), as implemented by torchmetrics on torch-fidelity's extractor.
    """
    for name, images in (("real", real), ("synthetic", synthetic)):
        good = images.dim() == 4 and len(images) >= 2 and images.shape[1] in (1, 3)
        rule, fix = "at least 2 images of 1 or 3 channels, (n, c, h, w)", "images.unsqueeze(1)"
        require(good, name, tuple(images.shape), rule, fix)
        check_pixels(name, images)
    found, reason = find_weights(weights)
    if found is None:
        return None, reason
    from torchmetrics.image.fid import FrechetInceptionDistance  # slow to import, rarely needed

    # Without antialiasing, as in the original TensorFlow graph; torchmetrics' default differs.
    options: dict[str, Any] = {"feature_extractor_weights_path": str(found), "antialias": False}
    metric = FrechetInceptionDistance(feature=2048, **options).to(pick_device())
    with torch.no_grad():
        for images, is_real in ((real, True), (synthetic, False)):
            for part in images.split(BATCH):
                metric.update(as_bytes(part).to(metric.device), real=is_real)
    return float(metric.compute()), ""


def as_bytes(images: Tensor) -> Tensor:
    """Images (n, 1 or 3, h, w), in [0, 1] or bytes -> uint8 (n, 3, h, w)."""
    return to_bytes(images).expand(-1, 3, -1, -1)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
