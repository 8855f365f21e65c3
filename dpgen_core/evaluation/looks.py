"""What the pixels of a set look like beside real ones: flat grounds and fine detail. Ours.

A Gaussian has neither. A classifier may forgive that, or learn it in place of the classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dpgen_core.checks import require
from dpgen_core.codes.basis import FrequencyBasis

FINE_FROM = 12  # modes per axis of the prior for drawings: what lies above it the prior never saw
_BLOCK = 2000


def zero_share(images: Tensor) -> float:
    """Share of values that are exactly black once stored in 8 bits; images in [0, 1].

    >>> zero_share(torch.tensor([[[[0.0, 0.001, 0.5, 1.0]]]]))
    0.5
    """
    return float(((images * 255).round() == 0).double().mean())


def sharpness(images: Tensor, modes: int = FINE_FROM) -> float:
    """Share of the energy of images (n, c, h, h) that lies above the lowest `modes` x `modes`.

    The mean brightness of each channel is no part of the energy. 0 for a set without any.

    Raises:
        InvalidArgument: `modes` is not in 1..h.
    """
    require(len(images) > 0, "images", tuple(images.shape), "at least one image", "more samples")
    basis = FrequencyBasis(tuple(images.shape[1:]), modes)  # type: ignore[arg-type]
    low = whole = 0.0
    for part in images.split(_BLOCK):
        centered = part - part.mean((2, 3), keepdim=True)
        low += float(basis.encode(centered).double().square().sum())
        whole += float(centered.double().square().sum())
    return max(0.0, 1 - low / whole) if whole > 0 else 0.0


def looks(images: Tensor) -> dict[str, float]:
    """`zero_share` and `sharpness`, by name."""
    with torch.no_grad():
        modes = min(FINE_FROM, images.shape[2])
        return {"zero_share": zero_share(images), "sharpness": sharpness(images, modes)}
