"""Clip vectors to a Euclidean norm that holds in floating-point arithmetic.

>>> clipped, norms = clip_rows(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), max_norm=1.0)
>>> norms
tensor([5.0000, 0.5000])
>>> clipped
tensor([[0.6000, 0.8000],
        [0.3000, 0.4000]])
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

ClipMode = Literal["joint", "per-image"]
CLIP_MODES: tuple[ClipMode, ...] = ("joint", "per-image")

_TINY = 1e-12
# Norms are summed in float64 over blocks of float32: in float32 alone the error grows with the
# length. In a block n squares are rounded and summed: at worst n roundings of 2^-24, whose effect
# the root halves; it, the factor and each scaled entry add one each. Scaling to that much below the
# bound covers it. Shorter blocks waste less of the bound, but below this length they take longer.
_BLOCK = 512
_SHRINK = 1.0 - (_BLOCK / 2 + 4) * 2.0**-24


def row_norms(*parts: Tensor) -> Tensor:
    """Norms (n,), float64, of the rows that `parts` (n, m_j) make side by side."""
    pieces = []
    for part in parts:
        whole = part.shape[1] // _BLOCK * _BLOCK
        blocks = part[:, :whole].unflatten(1, (-1, _BLOCK))
        pieces.append(torch.linalg.vector_norm(blocks, dim=2))
        if whole < part.shape[1]:
            pieces.append(torch.linalg.vector_norm(part[:, whole:], dim=1, keepdim=True))
    norms = torch.linalg.vector_norm(torch.cat(pieces, dim=1), dim=1, dtype=torch.float64)
    over = norms.isinf()
    if over.any():  # squares beyond float32's range, or an infinite entry
        norms[over] = torch.cat([part[over].double() for part in parts], dim=1).norm(dim=1)
    return norms


def clip_factors(norms: Tensor, max_norm: float) -> Tensor:
    """What scales rows of these norms down to just below `max_norm`, 1 where they are."""
    return (max_norm * _SHRINK / norms.clamp(min=_TINY)).clamp(max=1.0)


def clip_rows(rows: Tensor, max_norm: float) -> tuple[Tensor, Tensor]:
    """Scale each row of `rows` (n, d) down to Euclidean norm `max_norm` > 0 at most.

    Returns the clipped rows and the norms before clipping (n,). A row with a NaN or an infinity
    becomes zero: one broken contribution must not void the bound.
    """
    norms = row_norms(rows)  # (n,)
    factors = clip_factors(norms, max_norm)
    clipped = rows * factors.to(rows)[:, None]
    tiny = factors < torch.finfo(rows.dtype).tiny  # factors that float32 would round too coarsely
    if tiny.any():
        clipped[tiny] = (rows[tiny] * factors[tiny, None]).to(rows)  # the product in float64
    return torch.where(norms.isfinite()[:, None], clipped, 0.0), norms.to(rows)


def clip_contributions(
    contributions: Tensor, max_grad_norm: float, mode: ClipMode = "joint"
) -> tuple[Tensor, Tensor]:
    """Bound each owner's contribution by C = `max_grad_norm` > 0 over all its images together.

    `contributions` (k, B, d) are of k owners for B images. ``"joint"`` clips the (B d)-vector to C,
    ``"per-image"`` each image to C / sqrt(B), as GS-WGAN and its successors do: either way an
    owner's norm is at most C. Returns them clipped, and the norms before: (k,) or (k, B).
    """
    k, batch, dim = contributions.shape
    if mode == "joint":
        clipped, norms = clip_rows(contributions.reshape(k, batch * dim), max_grad_norm)
        return clipped.reshape(k, batch, dim), norms
    clipped, norms = clip_rows(contributions.reshape(k * batch, dim), max_grad_norm / batch**0.5)
    return clipped.reshape(k, batch, dim), norms.reshape(k, batch)
