"""The one-shot frequency prior: a class-conditional Gaussian over public codes, released once.

Three Gaussian-mechanism releases, all charged to the ledger under *replace-one* (design section 6;
ours, not the paper's). With u the code of an image divided by a public scale:

====================  =======================================  ==================================
release               value                                    replace-one L2 sensitivity
====================  =======================================  ==================================
``prior/counts``      records per class                        sqrt(2)
``prior/means``       per class, sum of u clipped to R1        2 R1
``prior/covariances`` per class, sum of r r^T, r = u - mean,   sqrt(2) R2^2
                      clipped to R2
====================  =======================================  ==================================

The second moments travel as symmetric vectors whose off-diagonal entries are multiplied by sqrt(2),
so their Euclidean norm *is* the Frobenius norm; the noise on an off-diagonal entry is then a factor
sqrt(2) smaller than with plain noise on the upper triangle, at the same cost.

Sensitivities: replacing a record within a class moves the sum of u by at most 2 R1 and, as
<r r^T, s s^T> >= 0, the second moment by at most sqrt(R2^4 + R2^4). Moving it to another class
changes two classes by one record each: sqrt(2) in the counts, sqrt(2) R1 <= 2 R1 in the sums and
sqrt(2) R2^2 in the moments.

Everything after the releases is post-processing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dpgen_core.accounting import GaussianEvent
from dpgen_core.basis import FrequencyBasis
from dpgen_core.checks import check_real, require
from dpgen_core.efsgd import clip_rows
from dpgen_core.streams import HiddenStream

RELEASE_SHARES = {"prior/counts": 0.02, "prior/means": 0.18, "prior/covariances": 0.80}


@dataclass(frozen=True)
class FrequencyPrior:
    """Released class statistics, ready to sample from.

    Attributes:
        basis: the public basis.
        scale: public scale per mode, (d,).
        class_share: estimated share of each class, (classes,).
        means: class means in scaled codes, (classes, d).
        factors: A with A A^T the class covariance, (classes, d, d).
    """

    basis: FrequencyBasis
    scale: Tensor
    class_share: Tensor
    means: Tensor
    factors: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """What was released, for checkpoint and digest; all of it public."""
        return {
            "scale": self.scale,
            "class_share": self.class_share,
            "means": self.means,
            "factors": self.factors,
        }

    @classmethod
    def from_tensors(
        cls,
        tensors: dict[str, Tensor],
        image_shape: tuple[int, int, int],
        modes: int,
        device: torch.device | str = "cpu",
    ) -> FrequencyPrior:
        """Inverse of `tensors`."""
        basis = FrequencyBasis(image_shape, modes, device)
        moved = {name: value.to(device) for name, value in tensors.items()}
        return cls(basis, **moved)

    def sample(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Low-frequency images (n, c, h, w), not clipped to [0, 1].

        Args:
            latents: standard normal, (n, d).
            labels: class of each image, (n,).
        """
        spread = torch.empty_like(latents)
        for label in labels.unique():
            rows = labels == label
            spread[rows] = latents[rows] @ self.factors[label].T
        return self.basis.decode((self.means[labels] + spread) * self.scale)  # (n, c, h, w)


def prior_events(noise_multiplier: float) -> tuple[GaussianEvent, ...]:
    """The ledger events of one prior.

    Args:
        noise_multiplier: m > 0; the three releases together cost exactly as much as one Gaussian
            mechanism whose noise std is m times its replace-one sensitivity.

    Example:
        >>> cost = sum(event.noise_multiplier**-2 for event in prior_events(2.0))  # 1 / m^2
        >>> round(cost, 12)
        0.25
    """
    check_real("noise_multiplier", noise_multiplier, low=0, low_open=True, fix="noise_multiplier=1")
    return tuple(
        GaussianEvent(name, noise_multiplier / share**0.5) for name, share in RELEASE_SHARES.items()
    )


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
) -> FrequencyPrior:
    """Release the three statistics and turn them into a sampler.

    The caller charges `prior_events(noise_multiplier)` to its ledger before it uses the result.

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

    Raises:
        InvalidArgument: radii or scale not positive.
    """
    for name, radius in (("mean_radius", mean_radius), ("covariance_radius", covariance_radius)):
        check_real(name, radius, low=0, low_open=True, fix=f"{name}=20")
    require(bool((scale > 0).all()), "scale", float(scale.min()), "positive", "basis.falloff(4)")
    dim = basis.dim
    multiplier = dict.fromkeys(RELEASE_SHARES, 0.0)
    if noise_multiplier > 0:
        multiplier |= {e.name: e.noise_multiplier for e in prior_events(noise_multiplier)}

    def noised(name: str, value: Tensor, sensitivity: float) -> Tensor:
        noise = HiddenStream(key, name).normal(value.shape).to(value)
        return value + multiplier[name] * sensitivity * noise

    codes = basis.encode(images) / scale  # (N, d)
    one_hot = torch.nn.functional.one_hot(labels, num_classes).to(codes)  # (N, classes)
    counts = noised("prior/counts", one_hot.sum(0), 2**0.5)
    counts = counts.clamp(min=0.01 * len(images) / num_classes)
    sums = noised("prior/means", one_hot.T @ clip_rows(codes, mean_radius)[0], 2 * mean_radius)
    means = sums / counts[:, None]  # (classes, d)

    residuals = clip_rows(codes - means[labels], covariance_radius)[0]  # (N, d)
    moments = torch.stack([_second_moment(residuals[labels == k]) for k in range(num_classes)])
    sensitivity = 2**0.5 * covariance_radius**2
    noisy = noised("prior/covariances", _pack(moments), sensitivity)
    covariances = _unpack(noisy, dim) / counts[:, None, None]
    noise_std = multiplier["prior/covariances"] * sensitivity / 2**0.5 / counts  # off-diagonal
    factors = torch.stack(
        [_factor(c, float(s)) for c, s in zip(covariances, noise_std, strict=True)]
    )
    return FrequencyPrior(basis, scale, counts / counts.sum(), means, factors)


def _second_moment(rows: Tensor) -> Tensor:
    return rows.T @ rows


def _pack(matrices: Tensor) -> Tensor:
    """Symmetric (k, d, d) -> (k, d (d + 1) / 2) with equal Euclidean and Frobenius norms."""
    row, column = torch.triu_indices(matrices.shape[1], matrices.shape[1])
    weight = torch.where(row == column, 1.0, 2**0.5).to(matrices)
    return matrices[:, row, column] * weight


def _unpack(vectors: Tensor, dim: int) -> Tensor:
    """Inverse of `_pack`."""
    row, column = torch.triu_indices(dim, dim)
    weight = torch.where(row == column, 1.0, 2**0.5).to(vectors)
    upper = vectors.new_zeros(len(vectors), dim, dim)
    upper[:, row, column] = vectors / weight
    return upper + upper.transpose(1, 2) - torch.diag_embed(upper.diagonal(dim1=1, dim2=2))


def _factor(covariance: Tensor, noise_std: float) -> Tensor:
    """A square root of the denoised covariance, (d, d).

    A symmetric noise matrix with off-diagonal std t has its spectrum in +-2 t sqrt(d) and lifts an
    eigenvalue l above t sqrt(d) to l + t^2 d / l (additive spiked model). Eigenvalues inside that
    band are dropped, those above it are shrunk back, and what is left of the trace is spread evenly.
    """
    dim = len(covariance)
    values, vectors = torch.linalg.eigh(covariance)  # ascending
    level = noise_std * dim**0.5
    kept = values > 2.02 * level
    shrunk = torch.where(kept, (values + (values**2 - 4 * level**2).clamp(min=0).sqrt()) / 2, 0.0)
    leftover = (values.sum() - shrunk.sum()).clamp(min=0)
    floor = leftover / max(1, int((~kept).sum()))
    shrunk = torch.where(kept, shrunk, floor)
    return vectors * shrunk.clamp(min=0).sqrt()
