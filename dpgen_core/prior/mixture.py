"""Cells inside the classes: the Gaussian prior refined to a mixture, by further releases.

A class is seldom one Gaussian: sevens lean left or right, with a bar or without. With the class
Gaussians of `prior` released, everything below is public but the records. Per class:

* its r widest directions give whitened coordinates w, in which the class has unit covariance;
* its *cells* start as the k-means cells of samples from the released Gaussian, which costs nothing;
* `CELL_STEPS` times, the cells' counts and their sums of w - center, clipped to R, are released and
  move the centers (private k-means);
* the cells' second moments of w - center, clipped to R, are released last.

====================  ==================================  =======================================
release               value                               replace-one L2 sensitivity
====================  ==================================  =======================================
``cells/counts``      records per cell                    sqrt(2)
``cells/means``       per cell, sum of clipped w - center 2 R
``cells/covariances`` per cell, sum of s s^T, clipped s   sqrt(2) R^2
====================  ==================================  =======================================

A record lies in one cell of one class; replacing it changes at most two cells, as in `prior`.
Whitening is what makes this affordable: in r whitened coordinates R^2 is about r, and noise spreads over
directions of equal weight. Outside the r directions a cell has its class's spread. Noisy cells are drawn
back to what the class's cells have in common, by as much as their noise explains. Source: ours.
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
    group_counts,
    group_sums,
    pack,
    prior_noise,
    second_moments,
    unpack,
)
from dpgen_core.streams import HiddenStream, stream

CELLS = 8  # per class, where the budget carries them
_WIDEST_NOISE = 1.5  # of a cell's eigenvalues, where those of its class are 1
_KMEANS_SAMPLES = 4000
_SMALLEST = 5.0  # a cell never counts fewer records


def affordable_cells(noise_multiplier: float, *, class_records: float, rank: int) -> int:
    """How many cells a class gets: `CELLS`, or 1 where the budget does not carry them.

    Whitened, a class has variance 1 in every direction. Noise alone spreads the eigenvalues of a cell's
    covariance by 2 t sqrt(r) to either side, t its standard deviation off the diagonal. Where that is much
    more than 1 a cell's shape is noise, and the half of the budget that cells take is better spent on the
    class. Where to stop was found on held-out MNIST (`results/tuning.csv`): at a width of 1.2 eight cells
    gave the better accuracy, at 1.9 one did; two and four, tried at the smallest budget, did worse than
    either. Ours.

    Args:
        noise_multiplier: m of `prior.prior_events`; 0 carries any number.
        class_records: records of a class on average, N over the number of classes; public.
        rank: r, whitened directions.

    Example:
        >>> affordable_cells(0.5, class_records=6000, rank=30)
        8
        >>> affordable_cells(4.0, class_records=6000, rank=30)
        1
    """
    check_int("rank", rank, low=1, fix="rank=30")
    moments = "cells/covariances"
    noise = (
        prior_noise(noise_multiplier, CELLS)[moments] * sensitivities(clip_radius(rank))[moments]
    )
    off_diagonal = noise / 2**0.5 / (class_records / CELLS)
    return CELLS if 2 * off_diagonal * rank**0.5 <= _WIDEST_NOISE else 1


def split_classes(
    prior: FrequencyPrior,
    images: Tensor,
    labels: Tensor,
    *,
    cells: int,
    rank: int,
    noise_multiplier: float,
    key: int | str,
    seed: int,
) -> FrequencyPrior:
    """Refine a one-cell prior to `cells` cells per class.

    The caller charges `prior.prior_events(noise_multiplier, cells)`, which covers both steps.

    Args:
        prior: from `prior.release_prior` with the same `cells` and `noise_multiplier`.
        images: private images in [0, 1], (N, c, h, w).
        labels: private labels, (N,).
        cells: M, >= 2.
        rank: r, whitened directions per class; at most d are used.
        noise_multiplier: m of `prior.prior_events`; 0 releases without noise and is not private.
        key: secret key of the noise streams.
        seed: public; where k-means starts.

    Raises:
        InvalidArgument: fewer than 2 cells, no direction, or a prior that has cells already.
    """
    check_int("cells", cells, low=2, fix="cells=8")
    check_int("rank", rank, low=1, fix="rank=30")
    require(prior.cells == 1, "prior", f"{prior.cells} cells", "a prior with one cell", "M = 1")
    classes, rank = len(prior.means), min(rank, prior.basis.dim)
    multiplier, radius = prior_noise(noise_multiplier, cells), clip_radius(rank)

    std = {name: multiplier[name] * reach for name, reach in sensitivities(radius).items()}

    def noised(name: str, value: Tensor, step: int = 0) -> Tensor:
        noise = HiddenStream(key, name, step).normal(value.shape).to(value)
        return rounded(value + std[name] * noise, std[name])

    spread, directions = _principal(prior.factors[:, 0])  # (classes, d), (classes, d, d)
    spread, directions = spread[:, -rank:], directions[:, :, -rank:]
    codes = prior.basis.encode(images) / prior.scale - prior.means[labels, 0]  # (N, d)
    white = codes.new_zeros(len(codes), rank)
    for k in range(classes):
        # All records: the shape of a product decides how it rounds, and a record of another class must
        # not change the last bits of the others.
        white = torch.where((labels == k)[:, None], codes @ directions[k] / spread[k], white)
    centers, weight = _first_centers(spread, cells, seed)  # (classes, M, r), (classes, r)

    for step in range(CELL_STEPS):
        exact = cell_statistics(white, labels, centers, weight, radius)
        counts = noised("cells/counts", exact[0], step).clamp(min=_SMALLEST)
        sums = noised("cells/means", exact[1], step)
        move, noise_std = sums / counts[:, None], std["cells/means"] / counts
        trust = _trust(move.square().sum(1), noise_std**2 * rank)  # (classes * M,)
        centers = centers + (trust[:, None] * move).unflatten(0, (classes, cells))

    exact = cell_statistics(white, labels, centers, weight, radius)
    moments = unpack(noised("cells/covariances", exact[2]), rank)
    moments = moments.unflatten(0, (classes, cells))  # (classes, M, r, r)
    counts = counts.unflatten(0, (classes, cells))
    noise_std = std["cells/covariances"] / 2**0.5 / counts  # off-diagonal
    roots = _shrunk_roots(moments, counts, noise_std)
    return _assemble(prior, counts, centers, roots)


def _principal(factors: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviations in ascending order (classes, d) and directions (classes, d, d)."""
    spread = factors.norm(dim=1).clamp(min=1e-6)
    return spread, factors / spread[:, None]


def _first_centers(spread: Tensor, cells: int, seed: int) -> tuple[Tensor, Tensor]:
    """k-means centers of the released Gaussians, whitened, and the metric's weight per direction.

    Distances are taken between whitened coordinates times the square root of their spread: between
    the codes' own metric, in which few directions decide, and the whitened one, in which none matters.
    """
    weight = (spread / spread.amax(1, keepdim=True)).sqrt()  # (classes, r)
    centers = []
    for k, row in enumerate(weight):
        generator = stream(seed, "cells", k)
        drawn = torch.randn(_KMEANS_SAMPLES, len(row), generator=generator) * row.cpu()
        start = drawn[:cells].double().numpy()
        found, _ = kmeans2(drawn.double().numpy(), start, minit="matrix", iter=25, missing="raise")
        centers.append(torch.from_numpy(found).to(row) / row)
    return torch.stack(centers), weight


def clip_radius(rank: int) -> float:
    """R: the norm of a whitened record is about sqrt(r), seldom more by one."""
    return rank**0.5 + 1.0


def sensitivities(radius: float) -> dict[str, float]:
    """Replace-one L2 sensitivity of each release, by name, for clip radius R."""
    return {
        "cells/counts": 2**0.5,
        "cells/means": 2 * radius,
        "cells/covariances": 2**0.5 * radius**2,
    }


def cell_statistics(
    white: Tensor, labels: Tensor, centers: Tensor, weight: Tensor, radius: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What the releases are sums of, before noise; their sensitivities are in the table above.

    Args:
        white: whitened records, (N, r).
        labels: their classes, (N,).
        centers: public centers, (classes, M, r).
        weight: public metric per direction, (classes, r).
        radius: R.

    Returns:
        Counts (classes M,), sums of clipped offsets (classes M, r), and their second moments, packed,
        (classes M, r (r + 1) / 2). Private; float64, see `prior`.
    """
    total = centers.shape[0] * centers.shape[1]
    cell = torch.zeros_like(labels)  # (N,), class * M + cell
    for k, (center, row) in enumerate(zip(centers, weight, strict=True)):
        # All records, as in `split_classes`.
        nearest = torch.cdist(white * row, center * row).argmin(1)
        cell = torch.where(labels == k, k * len(center) + nearest, cell)
    offset = clip_rows(white - centers.flatten(0, 1)[cell], radius)[0]  # (N, r)
    moments = pack(second_moments(offset, cell, total))
    return group_counts(cell, total), group_sums(offset, cell, total), moments


def _trust(energy: Tensor, noise_energy: Tensor) -> Tensor:
    """Share of a noisy estimate that is signal (James-Stein), in [0, 1]."""
    return (1 - noise_energy / energy.clamp(min=1e-12)).clamp(min=0)


def _shrunk_roots(moments: Tensor, counts: Tensor, noise_std: Tensor) -> Tensor:
    """Square roots of the cells' covariances, drawn towards their class's mean, (classes, M, r, r)."""
    rank = moments.shape[-1]
    local = moments / counts[:, :, None, None]
    common = moments.sum(1, keepdim=True) / counts.sum(1)[:, None, None, None]
    trust = _trust((local - common).square().sum((2, 3)), noise_std**2 * rank * (rank + 1))
    mixed = common + trust[:, :, None, None] * (local - common)
    common_std = (noise_std * counts).square().sum(1, keepdim=True).sqrt() / counts.sum(
        1, keepdim=True
    )
    levels = torch.hypot(trust * noise_std, (1 - trust) * common_std).flatten().tolist()
    roots = [denoised_root(c, s) for c, s in zip(mixed.flatten(0, 1), levels, strict=True)]
    return torch.stack(roots).unflatten(0, counts.shape)


def _assemble(
    prior: FrequencyPrior, counts: Tensor, centers: Tensor, roots: Tensor
) -> FrequencyPrior:
    """Back from whitened coordinates to codes; the other directions keep the class's spread."""
    rank = centers.shape[2]
    spread, directions = _principal(prior.factors[:, 0])
    wide = directions[:, :, -rank:] * spread[:, None, -rank:]  # (classes, d, r), unwhitens
    means = prior.means + centers @ wide.transpose(1, 2)  # (classes, M, d)
    narrow = prior.factors[:, :, :, :-rank].expand(-1, counts.shape[1], -1, -1)
    factors = torch.cat([narrow, wide[:, None] @ roots], dim=3)  # (classes, M, d, d)
    share = counts / counts.sum(1, keepdim=True)
    return FrequencyPrior(prior.basis, prior.scale, prior.class_share, share, means, factors)
