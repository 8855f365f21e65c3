"""The frequency prior: sensitivities by attack, flattening, denoising, recovery."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dpgen_core.checks import InvalidArgument
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.mechanism.clipping import _SHRINK, clip_rows
from dpgen_core.prior import gaussian as prior_module
from dpgen_core.prior.gaussian import (
    GAUSSIAN_SHARES,
    FrequencyPrior,
    denoised_root,
    flatten_symmetric,
    group_counts,
    group_sums,
    prior_events,
    release_prior,
    second_moments,
    unflatten_symmetric,
)

BASIS = FrequencyBasis((1, 8, 8), 3)
SCALE = BASIS.falloff(4.0)


def made_data(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    codes = torch.randn(count, BASIS.dim, generator=generator) * 0.3
    codes[:, 0] += 4 + 2 * labels  # the classes differ in brightness
    codes[:, 1] *= 3  # and share a direction of large variance
    return BASIS.decode(codes * SCALE), labels


def release(images: torch.Tensor, labels: torch.Tensor, noise: float, **changes) -> FrequencyPrior:
    settings = {"mean_radius": 20.0, "covariance_radius": 14.0, "key": "k"} | changes
    return release_prior(
        images, labels, num_classes=2, basis=BASIS, scale=SCALE, noise_multiplier=noise, **settings
    )


def test_recovers_class_moments_without_noise() -> None:
    images, labels = made_data(20_000)
    prior = release(images, labels, 0.0)
    wanted = BASIS.encode(images) / SCALE
    for k in (0, 1):
        rows = wanted[labels == k]
        torch.testing.assert_close(prior.means[k, 0], rows.mean(0), atol=1e-3, rtol=1e-3)
        covariance = prior.factors[k, 0] @ prior.factors[k, 0].T
        torch.testing.assert_close(covariance, rows.T.cov(correction=0), atol=2e-3, rtol=1e-2)
    latents = torch.randn(20_000, BASIS.dim, generator=torch.Generator().manual_seed(1))
    bright = prior.sample(latents, labels).mean((1, 2, 3))
    assert (bright[labels == 1] > bright[labels == 0]).float().mean() > 0.9


def statistics(codes: torch.Tensor, labels: torch.Tensor, r1: float, r2: float):
    """What the module releases before noise, from the functions it releases it with."""
    sums = group_sums(clip_rows(codes, r1)[0], labels, 2)
    moments = second_moments(clip_rows(codes, r2)[0], labels, 2)
    shared = second_moments(clip_rows(codes, r2)[0], torch.zeros_like(labels), 1)
    return group_counts(labels, 2), sums, flatten_symmetric(moments), flatten_symmetric(shared)


def test_no_replacement_moves_a_release_past_its_sensitivity() -> None:
    generator = torch.Generator().manual_seed(1)
    r1, r2 = 2.0, 1.5
    limits = (2**0.5, 2 * r1, 2**0.5 * r2**2, 2**0.5 * r2**2)
    largest = [0.0] * len(limits)
    for trial in range(300):
        codes = torch.randn(6, 4, generator=generator) * 10
        labels = torch.randint(0, 2, (6,), generator=generator)
        other, other_labels = codes.clone(), labels.clone()
        other[0] = -codes[0] if trial % 2 else torch.randn(4, generator=generator) * 10
        other_labels[0] = (labels[0] + trial // 2) % 2
        pairs = zip(
            statistics(codes, labels, r1, r2), statistics(other, other_labels, r1, r2), strict=True
        )
        moved = [float((a - b).norm()) for a, b in pairs]
        largest = [max(a, b) for a, b in zip(largest, moved, strict=True)]
    for reached, limit in zip(largest, limits, strict=True):
        assert reached <= limit
        assert reached > 0.97 * limit  # the stated sensitivity is tight


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_summed_is_clipped(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = made_data(200)
    norms: dict[str, float] = {}

    def watch(name: str) -> None:
        summed = getattr(prior_module, name)

        def keep(rows: torch.Tensor, *more: object) -> torch.Tensor:
            norms[name] = float(rows.norm(dim=1).max())
            return summed(rows, *more)

        monkeypatch.setattr(prior_module, name, keep)

    watch("group_sums")
    watch("second_moments")
    release(
        images * 100, labels, 0.0, mean_radius=3.0, covariance_radius=2.0, shared_covariance=shared
    )
    assert norms["group_sums"] == pytest.approx(_SHRINK * 3.0, rel=1e-5)
    assert norms["second_moments"] == pytest.approx(_SHRINK * 2.0, rel=1e-5)


def hard_to_add(high: float, low: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns (n,) that differ in one entry, `high` or `low`, with single-precision sums far apart.

    The entry decides on which side of a power of two the sum of the next ones ends: above it a step
    of the sum is twice as wide, and each of the small entries that follow is rounded up to it.
    """
    large = torch.full((30_000,), high)
    turn = 2.0 ** math.floor(math.log2(30_000 * high))
    large[: int((30_000 * high - turn) / high)] = 0.0
    large[-1] -= float(large.double().sum()) - turn + (high + low) / 2
    small = torch.full((5_000,), 0.51 * turn * 2.0**-23)
    up, down = (torch.cat([torch.tensor([one]), large, small]) for one in (high, low))
    return up, down


def single(column: torch.Tensor) -> float:
    """The sum in single precision, one entry after the other."""
    return float(np.cumsum(column.numpy(), dtype=np.float32)[-1])


def test_rounding_cannot_move_a_sum_past_its_sensitivity() -> None:
    bound = 20.0
    columns = hard_to_add(bound, -bound)
    labels = torch.zeros(len(columns[0]), dtype=torch.long)
    assert single(columns[0]) - single(columns[1]) == 1.5 * 2 * bound  # the book's figure
    up, down = (group_sums(column[:, None], labels, 1) for column in columns)
    assert float((up - down).norm()) <= 2 * bound * (1 + 1e-9)

    columns = hard_to_add(bound**2, 0.0)
    assert single(columns[0]) - single(columns[1]) > 1.2 * bound**2
    up, down = (second_moments(column.sqrt()[:, None], labels, 1) for column in columns)
    assert float((up - down).norm()) <= bound**2 * (1 + 1e-6)  # the square roots are rounded


def test_noise_scale_of_each_release() -> None:
    images, labels = made_data(20_000)
    exact, noise = release(images, labels, 0.0, mean_radius=5.0), 1.7
    shifts = []
    for key in range(40):
        noisy = release(images, labels, noise, key=f"k{key}", mean_radius=5.0)
        # modes of mean zero: there the noise of the counts does not matter
        shifts.append((noisy.means - exact.means)[:, 0, 2:] * 10_000)
    std = noise / GAUSSIAN_SHARES["prior/means"] ** 0.5 * 2 * 5.0
    measured = float(torch.stack(shifts).std())
    assert measured == pytest.approx(std, rel=0.1)


def test_a_shared_covariance_is_that_of_records_around_the_mean_of_their_class() -> None:
    images, labels = made_data(20_000)
    prior = release(images, labels, 0.0, shared_covariance=True)
    wanted = BASIS.encode(images) / SCALE
    centered = wanted - torch.stack([wanted[labels == k].mean(0) for k in (0, 1)])[labels]
    assert torch.equal(prior.factors[0], prior.factors[1])
    covariance = prior.factors[0, 0] @ prior.factors[0, 0].T
    torch.testing.assert_close(covariance, centered.T.cov(correction=0), atol=2e-3, rtol=1e-2)


def test_noise_of_a_shared_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = made_data(20_000)
    radius, noise, seen = 6.0, 1.7, []

    def keep(covariance: torch.Tensor, noise_std: float) -> torch.Tensor:
        seen.append((covariance, noise_std))
        return denoised_root(covariance, noise_std)

    monkeypatch.setattr(prior_module, "denoised_root", keep)
    for key in range(41):
        release(
            images,
            labels,
            noise if key else 0.0,
            key=f"k{key}",
            covariance_radius=radius,
            shared_covariance=True,
        )
    row, column = torch.triu_indices(BASIS.dim, BASIS.dim, 1)
    # The noise of the means moves each entry, too, by far less.
    moved = torch.stack([(one - seen[0][0])[row, column] for one, _ in seen[1:]])
    std = noise / GAUSSIAN_SHARES["prior/covariances"] ** 0.5 * radius**2 / 20_000
    assert len(seen) == 41  # one matrix each
    assert float(moved.std()) == pytest.approx(std, rel=0.1)
    assert seen[1][1] == pytest.approx(std, rel=0.02)  # what the denoising assumes


def test_flattening_keeps_the_frobenius_norm() -> None:
    matrix = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))
    matrix = matrix + matrix.transpose(1, 2)
    flat = flatten_symmetric(matrix)
    torch.testing.assert_close(flat.norm(dim=1), matrix.flatten(1).norm(dim=1))
    torch.testing.assert_close(unflatten_symmetric(flat, 5), matrix)


def test_denoising_brings_an_eigenvalue_back() -> None:
    generator = torch.Generator().manual_seed(2)
    dim, std = 100, 0.05
    truth = torch.zeros(dim, dim)
    truth[0, 0] = 2.0
    denoised, raw = [], []
    for _ in range(20):
        noise = torch.randn(dim, dim, generator=generator) * std
        noisy = truth + noise.triu() + noise.triu(1).T
        factor = denoised_root(noisy, std)
        denoised.append(torch.linalg.eigvalsh(factor @ factor.T)[-1])
        raw.append(torch.linalg.eigvalsh(noisy)[-1])
    assert abs(float(torch.stack(denoised).mean()) - 2.0) < 0.05
    assert abs(float(torch.stack(raw).mean()) - 2.0) > 0.1
    quiet = denoised_root(noise.triu() + noise.triu(1).T, std)  # noise alone: nothing survives
    assert float(torch.linalg.eigvalsh(quiet @ quiet.T)[-1]) < std


def test_three_events_cost_one_gaussian() -> None:
    events = prior_events(0.7)
    assert [event.name for event in events] == list(GAUSSIAN_SHARES)
    assert sum(event.noise_multiplier**-2 for event in events) == pytest.approx(0.7**-2)


def test_seeded_and_keyed() -> None:
    images, labels = made_data(200)
    a, b = release(images, labels, 1.0), release(images, labels, 1.0)
    assert torch.equal(a.factors, b.factors)
    assert not torch.equal(a.means, release(images, labels, 1.0, key="other").means)


def test_round_trip_and_bad_radii() -> None:
    images, labels = made_data(200)
    prior = release(images, labels, 1.0)
    again = FrequencyPrior.from_tensors(prior.tensors(), BASIS)
    latents = torch.randn(4, BASIS.dim, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(prior.sample(latents, labels[:4]), again.sample(latents, labels[:4]))
    with pytest.raises(InvalidArgument, match="mean_radius: received 0"):
        release(images, labels, 1.0, mean_radius=0)
