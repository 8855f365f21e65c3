"""Sample the denoiser: Heun's method with EDM's noise schedule, deterministic but for the start."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from companion.studies.diffusion.network import Denoiser
from dpgen_core.streams import stream

_LOWEST, _HIGHEST, _BEND = 0.002, 80.0, 7.0


def noise_levels(steps: int) -> Tensor:
    """Falling standard deviations, (steps + 1,), the last one 0.

    >>> [round(float(level), 3) for level in noise_levels(3)]
    [80.0, 2.515, 0.002, 0.0]
    """
    place = torch.linspace(0, 1, steps)
    low, high = _LOWEST ** (1 / _BEND), _HIGHEST ** (1 / _BEND)
    return torch.cat([(high + place * (low - high)) ** _BEND, torch.zeros(1)])


@torch.no_grad()
def sample(
    denoiser: Denoiser,
    labels: Tensor,
    image_shape: tuple[int, int, int],
    *,
    seed: int,
    steps: int = 18,
    block: int = 2000,
) -> Tensor:
    """Images in [0, 1] for `labels` (n,), (n, c, h, w), on the CPU. Post-processing."""
    device = next(denoiser.parameters()).device
    levels = noise_levels(steps).to(device)
    made = []
    for start in range(0, len(labels), block):
        batch = labels[start : start + block].to(device)
        generator = stream(seed, "diffusion-samples", start, device=device)
        x = torch.randn(len(batch), *image_shape, generator=generator, device=device) * levels[0]
        for level, following in pairwise(levels):
            slope = _slope(denoiser, x, level, batch)
            ahead = x + (following - level) * slope
            if following > 0:
                slope = (slope + _slope(denoiser, ahead, following, batch)) / 2
                ahead = x + (following - level) * slope
            x = ahead
        made.append(((x + 1) / 2).clamp(0, 1).cpu())
    return torch.cat(made)


def _slope(denoiser: Denoiser, x: Tensor, level: Tensor, labels: Tensor) -> Tensor:
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=x.device.type == "cuda"):
        clean = denoiser(x, level.expand(len(x)), labels)
    return (x - clean) / level
