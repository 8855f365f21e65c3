"""An image's own frame: where its strokes lie, how wide and high they are, and how they slant.

The mean of slanted and upright strokes is a blur. So an image is written as five numbers, from the
first and second moments of its intensity, and as the *canonical* image that is left by the map

    v = center + [[width, slant], [0, height]] u

from canonical points u to recorded points v, both in [-1, 1]^2; its own moments are public. A code
is a function of one record, so sensitivities do not change. It suits light strokes on dark ground.
Normalization by moments is that of Casey (1970); to release the moments as well is ours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.pixels import to_floats

ENTRIES = 5  # center x, center y, log width, log height, slant
# Standard deviations of a canonical image's intensity, in half sides: public constants.
_WIDTH, _HEIGHT = 0.38, 0.45
_REACH = (0.5, 0.5, 0.7, 0.7, 1.0)  # an entry is kept within +- this: nothing leaves the image
# One unit of an entry in units of a code: an entry's spread is a tenth or two.
_WEIGHT = (10.0, 10.0, 5.0, 5.0, 5.0)
_BLOCK = 4096  # images warped at once


def measure(images: Tensor) -> Tensor:
    """The frame (n, `ENTRIES`) of each image (n, c, h, w) in [0, 1]; a black one counts as even."""
    light = images.mean(1) + 1e-6  # (n, h, w)
    density = light / light.sum((1, 2), keepdim=True)
    columns, rows = density.sum(1), density.sum(2)  # (n, w), (n, h)
    x, y = _places(images.shape[3], images), _places(images.shape[2], images)
    center_x, center_y = (columns * x).sum(1), (rows * y).sum(1)
    dx, dy = x - center_x[:, None], y - center_y[:, None]  # (n, w), (n, h)
    wide, high = (columns * dx.square()).sum(1), (rows * dy.square()).sum(1)
    both = (density * dy[:, :, None] * dx[:, None, :]).sum((1, 2))
    lean = both / (high + 1e-4)  # x moves by so much for each step in y
    upright = (wide - both * lean).clamp(min=1e-5)  # width with the slant taken out
    log_width = upright.sqrt().div(_WIDTH).log()
    log_height = high.clamp(min=1e-5).sqrt().div(_HEIGHT).log().clamp(-_REACH[3], _REACH[3])
    slant = lean * log_height.exp()
    return bounded(torch.stack([center_x, center_y, log_width, log_height, slant], dim=1))


def to_canonical(images: Tensor, frames: Tensor) -> Tensor:
    """Images (n, c, h, w) as seen in their `frames` (n, `ENTRIES`): upright, centered, one size."""
    return warp(images, affine_maps(frames)).clamp(0, 1)


def from_canonical(images: Tensor, frames: Tensor) -> Tensor:
    """Inverse of `to_canonical` but for the blur of two interpolations; values are not clipped."""
    maps = affine_maps(bounded(frames))
    turn = torch.linalg.inv(maps[:, :, :2])  # (n, 2, 2)
    return warp(images, torch.cat([turn, -turn @ maps[:, :, 2:]], dim=2))


def bounded(frames: Tensor) -> Tensor:
    """Frames (n, `ENTRIES`) kept within the public bounds: nothing leaves the image."""
    reach = frames.new_tensor(_REACH)
    return torch.minimum(torch.maximum(frames, -reach), reach)


def affine_maps(frames: Tensor) -> Tensor:
    """The map from canonical image to record of each frame (n, `ENTRIES`), as (n, 2, 3)."""
    x, y, log_width, log_height, slant = frames.unbind(1)
    zero = torch.zeros_like(x)
    rows = (log_width.exp(), slant, x, zero, log_height.exp(), y)
    return torch.stack(rows, dim=1).unflatten(1, (2, 3))


def warp(images: Tensor, maps: Tensor, *, mode: str = "bicubic", beyond: str = "zeros") -> Tensor:
    """`images` (n, c, h, w) read where `maps` (n, 2, 3) send each pixel; not clipped to [0, 1].

    `mode` and `beyond` are ``mode`` and ``padding_mode`` of `torch.nn.functional.grid_sample`.
    """
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)  # (n, h, w, 2)
    return F.grid_sample(images, grid, mode=mode, padding_mode=beyond, align_corners=False)


class FramedBasis(FrequencyBasis):
    """Codes of canonical images, with the frame as `ENTRIES` more codes at the end.

    Replaces `FrequencyBasis`, with its arguments. It is not linear, and a code's norm is not the
    image's. A gradient in its codes is one in canonical image and frame, not in pixels.
    """

    _further = ENTRIES

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w), floats in [0, 1] or bytes -> codes (n, d)."""
        parts = (to_floats(some) for some in images.split(_BLOCK))
        framed = ((some, measure(some)) for some in parts)
        return torch.cat([self.join(to_canonical(some, at), at) for some, at in framed])

    def join(self, canonical: Tensor, frames: Tensor) -> Tensor:
        """Codes (n, d) of canonical images (n, c, h, w) to be shown in `frames` (n, `ENTRIES`)."""
        codes = super().encode(canonical)
        return torch.cat([codes, frames * frames.new_tensor(_WEIGHT)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Images (n, c, h, w) with the given codes (n, d), not clipped to [0, 1]."""
        frames = codes[:, -ENTRIES:] / codes.new_tensor(_WEIGHT)
        return from_canonical(super().decode(codes[:, :-ENTRIES]), frames)

    def falloff(self, corner: float) -> Tensor:
        """Public scale per code (d,): that of the modes, and 1 for the frame."""
        modes = super().falloff(corner)
        return torch.cat([modes, modes.new_ones(ENTRIES)])


def _places(count: int, like: Tensor) -> Tensor:
    """Centers of `count` pixels in [-1, 1]."""
    return (torch.arange(count, device=like.device).to(like) * 2 + 1) / count - 1
