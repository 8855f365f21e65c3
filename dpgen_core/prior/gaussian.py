"""The frequency prior: one Gaussian per class over public codes, released once.

Three releases of the Gaussian mechanism, all charged to the ledger under *replace-one*. Ours, not
the paper's; described in ``book/method.md``. With u the code of an image divided by a public scale:

=====================  =======================================  =========================
release                value                                    replace-one L2 sensitivity
=====================  =======================================  =========================
``prior/counts``       records per class                        sqrt(2)
``prior/means``        per class, sum of u clipped to R1        2 R1
``prior/covariances``  per class, sum of r r^T, r = u - mean,   sqrt(2) R2^2
                       clipped to R2
=====================  =======================================  =========================

Replacing a record within a class moves the sum of u by at most 2 R1 and, as <r r^T, s s^T> >= 0,
the second moment by at most sqrt(R2^4 + R2^4). Moving it to another class changes two classes by
one record each: sqrt(2) in the counts, sqrt(2) R1 <= 2 R1 in the sums, sqrt(2) R2^2 in the moments.

A covariance shared by all classes has the same sensitivity, but its noise is divided by the number
of all records. Classes then differ in their means alone.

Sums and noise are in double precision and rounded afterwards (`release.rounded`). In single
precision the rounding of a long sum depends on its first terms: with adversarial data, replacing a
record moves a sum by half as much again as the table allows (Casacuberta et al. 2022).

Everything after the releases is post-processing. `mixture` refines the prior by further releases.

    >>> basis, labels = FrequencyBasis((1, 8, 8), 3), torch.arange(50) % 2
    >>> options = {"mean_radius": 5, "covariance_radius": 3, "noise_multiplier": 2, "key": "secret"}
    >>> options |= {"num_classes": 2, "basis": basis, "scale": basis.falloff(4.0)}
    >>> release_prior(torch.zeros(50, 1, 8, 8), labels, **options).means.shape  # classes, M, d
    torch.Size([2, 1, 9])
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dpgen_core.accounting import GaussianEvent
from dpgen_core.checks import check_int, check_real, require
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.mechanism.release import rounded
from dpgen_core.streams import HiddenStream

GAUSSIAN_SHARES = {"prior/counts": 0.02, "prior/means": 0.18, "prior/covariances": 0.80}
# With cells (see `mixture`): half of the budget for the class Gaussians, half for their cells.
MIXTURE_SHARES = {"prior/counts": 0.02, "prior/means": 0.10, "prior/covariances": 0.38}
MIXTURE_SHARES |= {"cells/counts": 0.015, "cells/means": 0.135, "cells/covariances": 0.35}
CELL_STEPS = 2  # each step releases the cells' counts and means


@dataclass(frozen=True)
class FrequencyPrior:
    """Released class statistics, ready to sample from.

    Each class is a mixture of M Gaussians, its *cells*; the plain prior has M = 1.

    Attributes:
        basis: the public basis.
        scale: public scale per mode, (d,).
        class_share: estimated share of each class, (classes,).
        cell_share: estimated share of each cell within its class, (classes, M).
        means: cell means in scaled codes, (classes, M, d).
        factors: A with A A^T the cell's covariance, (classes, M, d, d).
    """

    basis: FrequencyBasis
    scale: Tensor
    class_share: Tensor
    cell_share: Tensor
    means: Tensor
    factors: Tensor

    @property
    def cells(self) -> int:
        """M, cells per class."""
        return self.cell_share.shape[1]

    @property
    def latent_dim(self) -> int:
        """Latent entries of one image: d, and one more that chooses the cell."""
        return self.basis.dim + (self.cells > 1)

    def tensors(self) -> dict[str, Tensor]:
        """Everything but the basis, for checkpoint and digest; all of it public."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "basis"}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, Tensor], basis: FrequencyBasis, device: torch.device | str = "cpu"
    ) -> FrequencyPrior:
        """Inverse of `tensors`, given the basis that the prior was released in."""
        return cls(basis, **{name: value.to(device) for name, value in tensors.items()})

    def sample(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Low-frequency images (n, c, h, w), not clipped to [0, 1].

        Args:
            latents: standard normal, (n, latent_dim).
            labels: class of each image, (n,).
        """
        dim = self.basis.dim
        cell = labels * self.cells
        if self.cells > 1:
            place = torch.special.ndtr(latents[:, dim:]).contiguous()  # (n, 1), uniform in (0, 1)
            ends = self.cell_share.cumsum(1)[labels].contiguous()  # (n, M)
            cell = cell + torch.searchsorted(ends, place)[:, 0].clamp(max=self.cells - 1)
        means, factors = self.means.flatten(0, 1), self.factors.flatten(0, 1)
        offsets = latents.new_empty(len(latents), dim)
        for one in cell.unique():
            rows = cell == one
            offsets[rows] = latents[rows, :dim] @ factors[one].T
        return self.basis.decode((means[cell] + offsets) * self.scale)  # (n, c, h, w)


def prior_events(noise_multiplier: float, cells: int = 1) -> tuple[GaussianEvent, ...]:
    """The ledger events of one prior.

    Args:
        noise_multiplier: m > 0; the releases together cost as much as one Gaussian mechanism whose
            noise std is m times its replace-one sensitivity.
        cells: M, cells per class, >= 1; more than one needs the further releases of `mixture`.
    """
    check_real("noise_multiplier", noise_multiplier, low=0, low_open=True, fix="noise_multiplier=1")
    check_int("cells", cells, low=1, fix="cells=1")
    events = []
    for name, share in _shares(cells).items():
        count = CELL_STEPS if name in ("cells/counts", "cells/means") else 1
        events.append(GaussianEvent(name, noise_multiplier * (count / share) ** 0.5, count))
    return tuple(events)


def release_multipliers(noise_multiplier: float, cells: int) -> dict[str, float]:
    """Noise std over sensitivity of each release, by name; all 0 for ``noise_multiplier=0``."""
    if not noise_multiplier:
        return dict.fromkeys(_shares(cells), 0.0)
    return {event.name: event.noise_multiplier for event in prior_events(noise_multiplier, cells)}


def release_prior(
    images: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    basis: FrequencyBasis,
    scale: Tensor,
    mean_radius: float,
    covariance_radius: float,
    noise_multiplier: float,
    key: int | str,
    cells: int = 1,
    shared_covariance: bool = False,
) -> FrequencyPrior:
    """Release the three statistics and turn them into a sampler with one cell per class.

    The caller charges ``prior_events(noise_multiplier, cells)`` to its ledger before using it.

    Args:
        images: private images in [0, 1], (N, c, h, w).
        labels: private labels, (N,), in 0..num_classes-1.
        num_classes: public number of classes.
        basis: public basis of dimension d.
        scale: public positive scale per mode, (d,).
        mean_radius: R1, from public data or a constant.
        covariance_radius: R2, from public data or a constant.
        noise_multiplier: m of `prior_events`; 0 releases without noise and is not private.
        key: secret key of the noise streams.
        cells: M of `prior_events`; if more than one, `mixture.split_classes` spends the rest.
        shared_covariance: release one covariance, of all records around their class means.

    Raises:
        InvalidArgument: radii or scale not positive.
    """
    for name, radius in (("mean_radius", mean_radius), ("covariance_radius", covariance_radius)):
        check_real(name, radius, low=0, low_open=True, fix=f"{name}=20")
    require(bool((scale > 0).all()), "scale", float(scale.min()), "positive", "basis.falloff(4)")
    multiplier = release_multipliers(noise_multiplier, cells)
    codes = basis.encode(images) / scale  # (N, d)

    def noised(name: str, value: Tensor, sensitivity: float) -> Tensor:
        noise = HiddenStream(key, name).normal(value.shape).to(value)
        std = multiplier[name] * sensitivity
        return rounded(value + std * noise, std)

    counts = noised("prior/counts", group_counts(labels, num_classes), 2**0.5)
    counts = counts.clamp(min=0.01 * len(images) / num_classes)
    clipped = clip_rows(codes, mean_radius)[0]
    sums = noised("prior/means", group_sums(clipped, labels, num_classes), 2 * mean_radius)
    means = sums / counts[:, None]  # (classes, d)

    residuals = clip_rows(codes - means[labels], covariance_radius)[0]  # (N, d)
    groups = torch.zeros_like(labels) if shared_covariance else labels
    sizes = counts.sum()[None] if shared_covariance else counts  # (G,), G = 1 or classes
    moments = second_moments(residuals, groups, len(sizes))
    sensitivity = 2**0.5 * covariance_radius**2
    noisy = noised("prior/covariances", flatten_symmetric(moments), sensitivity)
    covariances = unflatten_symmetric(noisy, basis.dim) / sizes[:, None, None]
    noise_std = multiplier["prior/covariances"] * sensitivity / 2**0.5 / sizes  # off-diagonal
    roots = [denoised_root(c, float(s)) for c, s in zip(covariances, noise_std, strict=True)]
    factors = torch.stack(roots).repeat(num_classes // len(sizes), 1, 1)[:, None]
    share, one = counts / counts.sum(), counts.new_ones(num_classes, 1)
    return FrequencyPrior(basis, scale, share, one, means[:, None], factors)


def group_counts(groups: Tensor, count: int) -> Tensor:
    """How many of `groups` (n,) are 0, 1, ..., ``count - 1``: (count,), float64."""
    return groups.bincount(minlength=count).double()


def group_sums(rows: Tensor, groups: Tensor, count: int) -> Tensor:
    """Sum of the rows (n, d) of each of `count` groups, (count, d), float64."""
    member = torch.nn.functional.one_hot(groups, count).double()  # (n, count)
    return member.T @ rows.double()


def second_moments(rows: Tensor, groups: Tensor, count: int) -> Tensor:
    """Sum of r r^T over the rows (n, d) of each of `count` groups, (count, d, d), float64."""
    parts = [rows[groups == g].double() for g in range(count)]
    return torch.stack([part.T @ part for part in parts])


def flatten_symmetric(matrices: Tensor) -> Tensor:
    """Symmetric (k, d, d) -> (k, d (d + 1) / 2), off-diagonal entries times sqrt(2).

    The Euclidean norm of a row is then the Frobenius norm of its matrix, and noise added to the row
    is smaller by sqrt(2) off the diagonal, at the same cost.
    """
    row, column, weight = _upper_entries(matrices.shape[1], matrices)
    return matrices[:, row, column] * weight


def unflatten_symmetric(vectors: Tensor, dim: int) -> Tensor:
    """Inverse of `flatten_symmetric`."""
    row, column, weight = _upper_entries(dim, vectors)
    upper = vectors.new_zeros(len(vectors), dim, dim)
    upper[:, row, column] = vectors / weight
    return upper + upper.transpose(1, 2) - torch.diag_embed(upper.diagonal(dim1=1, dim2=2))


def _upper_entries(dim: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, columns and weights of the upper triangle's entries."""
    row, column = torch.triu_indices(dim, dim, device=like.device)
    return row, column, torch.where(row == column, like.new_tensor(1.0), like.new_tensor(2**0.5))


def denoised_root(covariance: Tensor, noise_std: float) -> Tensor:
    """A square root of the denoised covariance, (d, d).

    A symmetric noise matrix with off-diagonal std t has its spectrum in +-2 t sqrt(d) and lifts an
    eigenvalue l above t sqrt(d) to l + t^2 d / l (additive spiked model). Eigenvalues inside that
    band are dropped, those above it are shrunk back, and the rest of the trace is spread evenly
    over the dropped ones.
    """
    dim = len(covariance)
    values, vectors = torch.linalg.eigh(covariance)  # ascending
    level = noise_std * dim**0.5
    kept = values > 2.02 * level
    shrunk = torch.where(kept, (values + (values**2 - 4 * level**2).clamp(min=0).sqrt()) / 2, 0.0)
    rest = (values.sum() - shrunk.sum()).clamp(min=0)
    shrunk = torch.where(kept, shrunk, rest / max(1, int((~kept).sum())))
    return vectors * shrunk.clamp(min=0).sqrt()


def _shares(cells: int) -> dict[str, float]:
    """Share of 1 / m^2 that each release spends, all its repetitions together."""
    return MIXTURE_SHARES if cells > 1 else GAUSSIAN_SHARES
