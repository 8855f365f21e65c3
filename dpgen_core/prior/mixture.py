"""The Gaussian prior refined to a mixture of cells within each class, by further releases.

A class is seldom one Gaussian: sevens lean left or right, with a bar or without. Once the Gaussians
of `gaussian` are released, everything below is public except the records. Per class:

* its r widest directions give whitened coordinates w, in which the class has unit covariance;
* its *cells* start as the k-means cells of samples from the released Gaussian, at no cost;
* `CELL_STEPS` times, the cells' counts and their sums of w - center, clipped to R, are released and
  move the centers (private k-means);
* the cells' second moments of w - center, clipped to R, are released last.

=====================  ===================================  ===========================
release                value                                replace-one L2 sensitivity
=====================  ===================================  ===========================
``cells/counts``       records per cell                     sqrt(2)
``cells/means``        per cell, sum of clipped w - center  2 R
``cells/covariances``  per cell, sum of s s^T, clipped s    sqrt(2) R^2
=====================  ===================================  ===========================

A record lies in one cell of one class; replacing it changes at most two cells, as in `gaussian`.
In r whitened coordinates R^2 is about r, and the noise is spread over directions of equal weight,
which keeps the cost down. Outside the r directions a cell keeps its class's covariance. Noisy cells
are shrunk toward what the cells of their class have in common, by as much as noise explains.
Source: ours.
"""

from __future__ import annotations

import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from dpgen_core.checks import check_int, require
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.mechanism.release import rounded
from dpgen_core.prior.gaussian import (
    CELL_STEPS,
    FrequencyPrior,
    denoised_root,
    flatten_symmetric,
    group_counts,
    group_sums,
    release_multipliers,
    second_moments,
    unflatten_symmetric,
)
from dpgen_core.streams import HiddenStream, stream

CELLS = 8  # per class, if the budget allows
_WIDEST_NOISE = 1.5  # in a cell's eigenvalues, relative to those of its class
_KMEANS_SAMPLES = 4000
_SMALLEST = 5.0  # noisy counts of records in a cell are raised to this


def affordable_cells(noise_multiplier: float, *, class_records: float, directions: int) -> int:
    """How many cells a class gets: `CELLS`, or 1 if the budget is too small for them.

    Whitened, a class has variance 1 in every direction. Noise alone spreads the eigenvalues of a
    cell's covariance by 2 t sqrt(r) to either side, t its std off the diagonal. If that is much
    more than 1, a cell's shape is noise, and the half of the budget that cells take is better spent
    on the class. The limit was found on held-out MNIST (``results/tuning.csv``): at a spread of 1.2
    eight cells were more accurate, at 1.9 one; two and four, tried at the smallest budget, were
    worse than either. Source: ours.

    Args:
        noise_multiplier: m of `gaussian.prior_events`; 0 allows any number.
        class_records: mean number of records per class; public.
        directions: r, whitened directions.

    Example:
        >>> [affordable_cells(m, class_records=6000, directions=30) for m in (0.5, 4.0)]
        [8, 1]
    """
    check_int("directions", directions, low=1, fix="directions=30")
    name = "cells/covariances"
    sensitivity = sensitivities(clip_radius(directions))[name]
    noise_std = release_multipliers(noise_multiplier, CELLS)[name] * sensitivity
    off_diagonal = noise_std / 2**0.5 / (class_records / CELLS)
    return CELLS if 2 * off_diagonal * directions**0.5 <= _WIDEST_NOISE else 1


def split_classes(
    prior: FrequencyPrior,
    images: Tensor,
    labels: Tensor,
    *,
    cells: int,
    directions: int,
    noise_multiplier: float,
    key: int | str,
    seed: int,
) -> FrequencyPrior:
    """Refine a one-cell prior to `cells` cells per class.

    The caller charges ``gaussian.prior_events(noise_multiplier, cells)``, which covers both steps.

    Args:
        prior: from `gaussian.release_prior` with the same `cells` and `noise_multiplier`.
        images: private images in [0, 1], (N, c, h, w).
        labels: private labels, (N,).
        cells: M, >= 2.
        directions: r, whitened directions per class; at most d are used.
        noise_multiplier: m of `gaussian.prior_events`; 0 adds no noise and is not private.
        key: secret key of the noise streams.
        seed: public; decides where k-means starts.

    Raises:
        InvalidArgument: fewer than 2 cells, no direction, or a prior that already has cells.
    """
    check_int("cells", cells, low=2, fix="cells=8")
    check_int("directions", directions, low=1, fix="directions=30")
    require(prior.cells == 1, "prior", f"{prior.cells} cells", "a prior with one cell", "M = 1")
    classes, directions = len(prior.means), min(directions, prior.basis.dim)
    radius, multiplier = clip_radius(directions), release_multipliers(noise_multiplier, cells)
    std = {name: multiplier[name] * most for name, most in sensitivities(radius).items()}

    def noised(name: str, value: Tensor, step: int = 0) -> Tensor:
        noise = HiddenStream(key, name, step).normal(value.shape).to(value)
        return rounded(value + std[name] * noise, std[name])

    stds, axes = _principal(prior.factors[:, 0])  # (classes, d), (classes, d, d)
    stds, axes = stds[:, -directions:], axes[:, :, -directions:]
    codes = prior.basis.encode(images) / prior.scale - prior.means[labels, 0]  # (N, d)
    white = codes.new_zeros(len(codes), directions)
    for k in range(classes):
        # All records, as the shape of a product decides how it rounds: a record of another class
        # must not change the last bits of the others.
        white = torch.where((labels == k)[:, None], codes @ axes[k] / stds[k], white)
    centers, weight = _first_centers(stds, cells, seed)  # (classes, M, r), (classes, r)

    for step in range(CELL_STEPS):
        exact = cell_statistics(white, labels, centers, weight, radius)
        counts = noised("cells/counts", exact[0], step).clamp(min=_SMALLEST)
        sums = noised("cells/means", exact[1], step)
        move, noise_std = sums / counts[:, None], std["cells/means"] / counts
        trust = _trust(move.square().sum(1), noise_std**2 * directions)  # (classes * M,)
        centers = centers + (trust[:, None] * move).unflatten(0, (classes, cells))

    exact = cell_statistics(white, labels, centers, weight, radius)
    moments = unflatten_symmetric(noised("cells/covariances", exact[2]), directions)
    moments = moments.unflatten(0, (classes, cells))  # (classes, M, r, r)
    counts = counts.unflatten(0, (classes, cells))
    noise_std = std["cells/covariances"] / 2**0.5 / counts  # off-diagonal
    return _assemble(prior, counts, centers, _shrunk_roots(moments, counts, noise_std))


def _principal(factors: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviations in ascending order (classes, d) and principal axes (classes, d, d)."""
    stds = factors.norm(dim=1).clamp(min=1e-6)
    return stds, factors / stds[:, None]


def _first_centers(stds: Tensor, cells: int, seed: int) -> tuple[Tensor, Tensor]:
    """k-means centers of the released Gaussians, whitened, and the metric's weight per direction.

    Each whitened coordinate is weighted by the root of its std: a compromise between the metric of
    the codes, where few directions decide, and the whitened one, where all count the same.
    """
    weight = (stds / stds.amax(1, keepdim=True)).sqrt()  # (classes, r)
    centers = []
    for k, row in enumerate(weight):
        generator = stream(seed, "cells", k)
        drawn = torch.randn(_KMEANS_SAMPLES, len(row), generator=generator) * row.cpu()
        start = drawn[:cells].double().numpy()
        found, _ = kmeans2(drawn.double().numpy(), start, minit="matrix", iter=25, missing="raise")
        centers.append(torch.from_numpy(found).to(row) / row)
    return torch.stack(centers), weight


def clip_radius(directions: int) -> float:
    """R: a whitened record's norm is about sqrt(r), seldom more than one above."""
    return directions**0.5 + 1.0


def sensitivities(radius: float) -> dict[str, float]:
    """Replace-one L2 sensitivity of each release, by name, for clip radius R."""
    moments = 2**0.5 * radius**2
    return {"cells/counts": 2**0.5, "cells/means": 2 * radius, "cells/covariances": moments}


def cell_statistics(
    white: Tensor, labels: Tensor, centers: Tensor, weight: Tensor, radius: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The private statistics before noise; float64.

    Args:
        white: whitened records, (N, r).
        labels: their classes, (N,).
        centers: public centers, (classes, M, r).
        weight: public metric per direction, (classes, r).
        radius: R.

    Returns:
        Counts (classes M,), sums of clipped offsets (classes M, r), and their second moments,
        flattened, (classes M, r (r + 1) / 2).
    """
    total = centers.shape[0] * centers.shape[1]
    cell = torch.zeros_like(labels)  # (N,), class * M + cell
    for k, (center, row) in enumerate(zip(centers, weight, strict=True)):
        # All records, as in `split_classes`.
        nearest = torch.cdist(white * row, center * row).argmin(1)
        cell = torch.where(labels == k, k * len(center) + nearest, cell)
    offset = clip_rows(white - centers.flatten(0, 1)[cell], radius)[0]  # (N, r)
    moments = flatten_symmetric(second_moments(offset, cell, total))
    return group_counts(cell, total), group_sums(offset, cell, total), moments


def _trust(energy: Tensor, noise_energy: Tensor) -> Tensor:
    """Share of a noisy estimate that is signal (James-Stein), in [0, 1]."""
    return (1 - noise_energy / energy.clamp(min=1e-12)).clamp(min=0)


def _shrunk_roots(moments: Tensor, counts: Tensor, noise_std: Tensor) -> Tensor:
    """Roots of the cells' covariances, shrunk toward their class's mean, (classes, M, r, r)."""
    r = moments.shape[-1]
    total = counts.sum(1, keepdim=True)  # (classes, 1)
    local = moments / counts[:, :, None, None]
    common = moments.sum(1, keepdim=True) / total[:, :, None, None]
    trust = _trust((local - common).square().sum((2, 3)), noise_std**2 * r * (r + 1))
    mixed = common + trust[:, :, None, None] * (local - common)
    common_std = (noise_std * counts).square().sum(1, keepdim=True).sqrt() / total
    levels = torch.hypot(trust * noise_std, (1 - trust) * common_std).flatten().tolist()
    roots = [denoised_root(c, s) for c, s in zip(mixed.flatten(0, 1), levels, strict=True)]
    return torch.stack(roots).unflatten(0, counts.shape)


def _assemble(
    prior: FrequencyPrior, counts: Tensor, centers: Tensor, roots: Tensor
) -> FrequencyPrior:
    """Back from whitened coordinates to codes; other directions keep the class's covariance."""
    r = centers.shape[2]
    stds, axes = _principal(prior.factors[:, 0])
    wide = axes[:, :, -r:] * stds[:, None, -r:]  # (classes, d, r), unwhitens
    means = prior.means + centers @ wide.transpose(1, 2)  # (classes, M, d)
    narrow = prior.factors[:, :, :, :-r].expand(-1, counts.shape[1], -1, -1)
    factors = torch.cat([narrow, wide[:, None] @ roots], dim=3)  # (classes, M, d, d)
    share = counts / counts.sum(1, keepdim=True)
    return FrequencyPrior(prior.basis, prior.scale, prior.class_share, share, means, factors)
