"""The frequency prior: one Gaussian per class over public codes, released once.

Three releases of the Gaussian mechanism, charged under *replace-one*; u is an image's code divided
by a public scale. Ours (``book/method.md``); ``book/privacy.md`` proves the L2 sensitivities.

=====================  ====================================================  =============
release                value                                                 sensitivity
=====================  ====================================================  =============
``prior/counts``       records per class                                     sqrt(2)
``prior/means``        per class, sum of u clipped to R1                     2 R1
``prior/covariances``  per class, sum of r r^T, r = u - mean, clipped to R2  sqrt(2) R2^2
=====================  ====================================================  =============

Sums are in double precision: their rounding depends on their first terms (Casacuberta et al. 2022).

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

from dpgen_core.accounting.events import GaussianEvent
from dpgen_core.checks import check_int, check_real, require
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.mechanism.clipping import clip_rows
from dpgen_core.mechanism.release import rounded
from dpgen_core.streams import HiddenStream

# Share of 1 / m^2 that each release spends, all its repetitions together.
GAUSSIAN_SHARES = {"prior/counts": 0.02, "prior/means": 0.18, "prior/covariances": 0.80}
# With cells (see `mixture`): half of the budget for the class Gaussians, half for their cells.
MIXTURE_SHARES = {"prior/counts": 0.02, "prior/means": 0.10, "prior/covariances": 0.38}
MIXTURE_SHARES |= {"cells/counts": 0.015, "cells/means": 0.135, "cells/covariances": 0.35}
CELL_STEPS = 2  # each step releases the cells' counts and means


@dataclass(frozen=True)
class FrequencyPrior:
    """Released class statistics: each class is a mixture of M Gaussians, its *cells*."""

    basis: FrequencyBasis
    scale: Tensor  #: public scale per mode, (d,)
    class_share: Tensor  #: estimated share of each class, (classes,)
    cell_share: Tensor  #: estimated share of each cell within its class, (classes, M)
    means: Tensor  #: of the cells in scaled codes, (classes, M, d)
    factors: Tensor  #: A with A A^T the cell's covariance, (classes, M, d, d)

    @property
    def cells(self) -> int:
        """M, cells per class."""
        return self.cell_share.shape[1]

    @property
    def latent_dim(self) -> int:
        """Latent entries of one image: d, and one more that chooses the cell."""
        return self.basis.dim + (self.cells > 1)

    def tensors(self) -> dict[str, Tensor]:
        """Everything but the basis; all of it public."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "basis"}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, Tensor], basis: FrequencyBasis, device: torch.device | str = "cpu"
    ) -> FrequencyPrior:
        """Inverse of `tensors`, given the basis."""
        return cls(basis, **{name: value.to(device) for name, value in tensors.items()})

    def sample(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Standard normal latents (n, latent_dim), labels (n,) -> unclipped images (n, c, h, w)."""
        dim, cell = self.basis.dim, labels * self.cells
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
    """The ledger events of one prior with M = `cells` per class.

    Together they cost as much as one Gaussian mechanism whose noise std is m = `noise_multiplier`
    times its replace-one sensitivity.
    """
    check_real("noise_multiplier", noise_multiplier, low=0, low_open=True, fix="noise_multiplier=1")
    check_int("cells", cells, low=1, fix="cells=1")
    events = []
    for name, share in (MIXTURE_SHARES if cells > 1 else GAUSSIAN_SHARES).items():
        count = CELL_STEPS if name in ("cells/counts", "cells/means") else 1
        events.append(GaussianEvent(name, noise_multiplier * (count / share) ** 0.5, count))
    return tuple(events)


def release_multipliers(noise_multiplier: float, cells: int) -> dict[str, float]:
    """Noise std over sensitivity of each release, by name; all 0 for ``noise_multiplier=0``."""
    events = prior_events(noise_multiplier or 1.0, cells)
    return {e.name: e.noise_multiplier if noise_multiplier else 0.0 for e in events}


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

    The caller charges ``prior_events(noise_multiplier, cells)`` to its ledger before using it. The
    images (N, c, h, w) in [0, 1], labels (N,) and `key` are private, all else is public: `scale`
    (d,), R1 = `mean_radius` and R2 = `covariance_radius` are positive constants. With more than one
    of `cells`, `mixture.split_classes` spends the rest of the budget. `shared_covariance` releases
    one, of all records around their class means. ``noise_multiplier=0`` is not private.
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
    moments = flatten_symmetric(second_moments(residuals, groups, len(sizes)))
    sensitivity = 2**0.5 * covariance_radius**2
    noisy = noised("prior/covariances", moments, sensitivity)
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
    return torch.nn.functional.one_hot(groups, count).double().T @ rows.double()


def second_moments(rows: Tensor, groups: Tensor, count: int) -> Tensor:
    """Sum of r r^T over the rows (n, d) of each of `count` groups, (count, d, d), float64."""
    parts = [rows[groups == g].double() for g in range(count)]
    return torch.stack([part.T @ part for part in parts])


def flatten_symmetric(matrices: Tensor) -> Tensor:
    """Symmetric (k, d, d) -> (k, d (d + 1) / 2), off-diagonal times sqrt(2), which keeps norms."""
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

    Symmetric noise with off-diagonal std t has its spectrum in +-2 t sqrt(d) and lifts an
    eigenvalue l above t sqrt(d) to l + t^2 d / l (additive spiked model). Eigenvalues inside that
    band are dropped, those above shrunk back; the rest of the trace is spread over the dropped.
    """
    values, vectors = torch.linalg.eigh(covariance)  # ascending
    level = noise_std * len(covariance) ** 0.5
    kept = values > 2.02 * level
    shrunk = torch.where(kept, (values + (values**2 - 4 * level**2).clamp(min=0).sqrt()) / 2, 0.0)
    rest = (values.sum() - shrunk.sum()).clamp(min=0)
    shrunk = torch.where(kept, shrunk, rest / max(1, int((~kept).sum())))
    return vectors * shrunk.clamp(min=0).sqrt()
