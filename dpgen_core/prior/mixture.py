"""The Gaussian prior refined to a mixture of cells within each class, by further releases.

A class's r widest directions give whitened coordinates w, and its *cells* start as k-means cells of
samples from its released Gaussian. Twice, counts and offsets are released and move the centers;
second moments come last. Ours; ``book/privacy.md`` proves the replace-one L2 sensitivities.

=====================  ====================================================  ============
release                value                                                 sensitivity
=====================  ====================================================  ============
``cells/counts``       records per cell                                      sqrt(2)
``cells/means``        per cell, sum of w - center, clipped to R             2 R
``cells/covariances``  per cell, sum of s s^T, s = w - center, clipped to R  sqrt(2) R^2
=====================  ====================================================  ============
"""

from __future__ import annotations

import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from dpgen_core.checks import check_int, require
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.mechanism.release import rounded
from dpgen_core.prior import gaussian
from dpgen_core.prior.gaussian import CELL_STEPS, FrequencyPrior, denoised_root, release_multipliers
from dpgen_core.streams import HiddenStream, stream

CELLS = 8  # per class, if the budget allows
_WIDEST_NOISE = 1.5  # in a cell's eigenvalues, relative to those of its class
_KMEANS_SAMPLES = 4000
_SMALLEST = 5.0  # noisy counts of records in a cell are raised to this


def affordable_cells(noise_multiplier: float, *, class_records: float, directions: int) -> int:
    """How many cells a class gets: `CELLS`, or 1 if the budget is too small for them.

    Noise alone spreads the eigenvalues of a cell's whitened covariance by 2 t sqrt(r), t its std
    off the diagonal. Far above 1, the class's variance, a cell's shape is noise. The limit was
    found on held-out MNIST (``results/tuning.csv``). Source: ours.

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
    """Refine a one-cell prior to M = `cells` >= 2 cells per class; r = `directions`, at most d.

    `gaussian.release_prior` made it with the same images, labels, cells, noise multiplier and key;
    its events cover both. The public `seed` decides where k-means starts.
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

    stds, axes = _principal(prior.factors[:, 0], directions)  # (classes, r), (classes, d, r)
    codes = prior.basis.encode(images) / prior.scale - prior.means[labels, 0]  # (N, d)
    white = codes.new_zeros(len(codes), directions)
    for k in range(classes):
        # All records: a product's shape decides its rounding, so with those of the class alone, a
        # record that leaves it would change the last bits of the others.
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
    moments = gaussian.unflatten_symmetric(noised("cells/covariances", exact[2]), directions)
    moments = moments.unflatten(0, (classes, cells))  # (classes, M, r, r)
    counts = counts.unflatten(0, (classes, cells))
    noise_std = std["cells/covariances"] / 2**0.5 / counts  # off-diagonal
    return _assemble(prior, counts, centers, _shrunk_roots(moments, counts, noise_std))


def _principal(factors: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """The r largest standard deviations, ascending, (classes, r) and their axes (classes, d, r)."""
    stds = factors.norm(dim=1).clamp(min=1e-6)
    return stds[:, -r:], (factors / stds[:, None])[:, :, -r:]


def _first_centers(stds: Tensor, cells: int, seed: int) -> tuple[Tensor, Tensor]:
    """Whitened k-means centers of the released Gaussians, and the metric's weight per direction."""
    # A compromise: in codes few directions decide, in whitened coordinates all count the same.
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

    Of whitened records (N, r) and labels (N,), with public centers (classes, M, r) and metric
    weights (classes, r): counts (classes M,), sums of offsets clipped to R = `radius`
    (classes M, r), and the offsets' second moments, flattened, (classes M, r (r + 1) / 2).
    """
    total, cell = centers.shape[:2].numel(), torch.zeros_like(labels)  # (N,), class * M + cell
    for k, (center, row) in enumerate(zip(centers, weight, strict=True)):
        nearest = torch.cdist(white * row, center * row).argmin(1)  # all, as in `split_classes`
        cell = torch.where(labels == k, k * len(center) + nearest, cell)
    offset = clip_rows(white - centers.flatten(0, 1)[cell], radius)[0]  # (N, r)
    moments = gaussian.flatten_symmetric(gaussian.second_moments(offset, cell, total))
    return gaussian.group_counts(cell, total), gaussian.group_sums(offset, cell, total), moments


def _trust(energy: Tensor, noise_energy: Tensor) -> Tensor:
    """Share of a noisy estimate that is signal (James-Stein), in [0, 1]."""
    return (1 - noise_energy / energy.clamp(min=1e-12)).clamp(min=0)


def _shrunk_roots(moments: Tensor, counts: Tensor, noise_std: Tensor) -> Tensor:
    """Roots of the cells' covariances, shrunk toward their class's mean, (classes, M, r, r)."""
    r, total = moments.shape[-1], counts.sum(1, keepdim=True)  # (classes, 1)
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
    stds, axes = _principal(prior.factors[:, 0], r)
    wide = axes * stds[:, None]  # (classes, d, r), unwhitens
    means = prior.means + centers @ wide.transpose(1, 2)  # (classes, M, d)
    narrow = prior.factors[:, :, :, :-r].expand(-1, counts.shape[1], -1, -1)
    factors = torch.cat([narrow, wide[:, None] @ roots], dim=3)  # (classes, M, d, d)
    share = counts / counts.sum(1, keepdim=True)
    return FrequencyPrior(prior.basis, prior.scale, prior.class_share, share, means, factors)
