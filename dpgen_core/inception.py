"""FID, by Inception-v3 or not at all.

Only the Inception network of the published weights gives a figure called FID. Where the weights are
absent the value is None and the reason names the file and the places that were looked at; nothing is
ever fetched from here.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

WEIGHTS_FILE = "weights-inception-2015-12-05-6d239ecd.pth"
ENVIRONMENT_NAME = "DPGEN_INCEPTION"


def find_weights(weights: Path | None = None) -> tuple[Path | None, list[Path]]:
    """The first place that holds the weights, and all places looked at."""
    places = [] if weights is None else [Path(weights)]
    if os.environ.get(ENVIRONMENT_NAME):
        places.append(Path(os.environ[ENVIRONMENT_NAME]))
    places.append(Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_FILE)
    return next((path for path in places if path.is_file()), None), places


def fid(
    real: Tensor, synthetic: Tensor, *, weights: Path | None = None, batch: int = 100
) -> tuple[float | None, str]:
    """Frechet Inception Distance between two sets of images.

    Args:
        real: (n, 1 or 3, h, w) in [0, 1]; gray images are repeated to three channels.
        synthetic: the same for the generated images.
        weights: path of the torch-fidelity weights; else ``$DPGEN_INCEPTION``, else the torch hub
            cache.
        batch: images per pass.

    Returns:
        (value, "") or (None, reason). Source: Heusel et al. (2017), as implemented by torchmetrics
        and torch-fidelity.
    """
    found, places = find_weights(weights)
    if found is None:
        looked = ", ".join(str(place.name if place.is_absolute() else place) for place in places)
        return None, (
            f"no Inception weights: put {WEIGHTS_FILE} (torch-fidelity's release) into the torch hub "
            f"cache (checkpoints/) or name it in ${ENVIRONMENT_NAME}; looked for {looked}"
        )
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torchmetrics.image.fid import FrechetInceptionDistance

    extractor = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(found)
    )
    metric = FrechetInceptionDistance(feature=_Flat(extractor))
    metric.eval()
    with torch.no_grad():
        for images, is_real in ((real, True), (synthetic, False)):
            for part in images.split(batch):
                metric.update(_as_bytes(part), real=is_real)
    return float(metric.compute()), ""


class _Flat(torch.nn.Module):
    """The extractor, returning a plain (n, 2048) tensor as torchmetrics wants it."""

    num_features = 2048

    def __init__(self, extractor: torch.nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (n, 3, h, w) -> (n, 2048)."""
        return self.extractor(images)[0].flatten(1)


def _as_bytes(images: Tensor) -> Tensor:
    """[0, 1] floats (n, c, h, w) -> uint8 (n, 3, h, w)."""
    colored = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    return (colored.clamp(0, 1) * 255).round().to(torch.uint8)
