"""Cells within classes: sensitivities by attack, noise by name, two modes found, sampling."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dpgen_core.checks import InvalidArgument
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.prior import gaussian, mixture
from dpgen_core.prior.gaussian import (
    CELL_STEPS,
    MIXTURE_SHARES,
    FrequencyPrior,
    prior_events,
    release_prior,
    unflatten_symmetric,
)
from dpgen_core.prior.mixture import (
    CELLS,
    affordable_cells,
    cell_statistics,
    split_classes,
)

BASIS = FrequencyBasis((1, 8, 8), 3)
SCALE = BASIS.falloff(4.0)


def made_data(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two classes; each has two equally likely modes, three apart in one direction."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    codes = torch.randn(count, BASIS.dim, generator=generator) * 0.3
    side = torch.randint(0, 2, (count,), generator=generator) * 2 - 1
    codes[:, 1] += 1.5 * side
    codes[:, 0] += 4 + labels
    codes[:, 2] *= 1 + 2 * (side > 0)  # and one of the modes is wider than the other
    return BASIS.decode(codes * SCALE), labels


def release(
    images: Tensor, labels: Tensor, noise: float, *, cells: int = 2, r: int = 4, key: str = "k"
) -> FrequencyPrior:
    shared = {"noise_multiplier": noise, "key": key}
    prior = release_prior(
        images,
        labels,
        num_classes=2,
        basis=BASIS,
        scale=SCALE,
        mean_radius=20.0,
        covariance_radius=14.0,
        cells=cells,
        **shared,
    )
    return split_classes(prior, images, labels, cells=cells, directions=r, seed=0, **shared)


def test_both_modes_of_a_class_are_found() -> None:
    images, labels = made_data(20_000)
    prior = release(images, labels, 0.0)
    assert prior.cells == 2
    torch.testing.assert_close(prior.cell_share, torch.full((2, 2), 0.5), atol=0.02, rtol=0)
    places = prior.means[:, :, 1].sort(dim=1).values
    torch.testing.assert_close(places, torch.tensor([[-1.5, 1.5]] * 2), atol=0.05, rtol=0)
    wide = prior.means[0, :, 1].argmax()
    covariance = prior.factors[0] @ prior.factors[0].transpose(1, 2)
    assert covariance[wide, 2, 2].item() == pytest.approx(0.81, rel=0.2)
    assert covariance[1 - wide, 2, 2].item() == pytest.approx(0.09, rel=0.25)


def test_samples_have_the_modes_and_their_shares() -> None:
    images, labels = made_data(20_000)
    prior = release(images, labels, 0.0)
    latents = torch.randn(8000, prior.latent_dim, generator=torch.Generator().manual_seed(1))
    assert prior.latent_dim == BASIS.dim + 1
    drawn = BASIS.encode(prior.sample(latents, torch.zeros(8000, dtype=torch.long))) / SCALE
    real = BASIS.encode(images)[labels == 0] / SCALE
    for end in (0.05, 0.45, 0.55, 0.95):
        assert drawn[:, 1].quantile(end) == pytest.approx(real[:, 1].quantile(end).item(), abs=0.15)
    # the extremes of the uniform still name a cell
    latents[:2, -1] = torch.tensor([-40.0, 40.0])
    assert prior.sample(latents[:2], torch.zeros(2, dtype=torch.long)).isfinite().all()


def test_noise_draws_cells_back_to_what_they_have_in_common() -> None:
    """Four cells with the same covariance, measured so badly that each alone is mostly noise."""
    generator = torch.Generator().manual_seed(3)
    r, std = 10, 60.0
    counts = torch.full((1, 4), 100.0)
    truth = torch.diag(torch.linspace(4, 1, r))
    noise = torch.randn(4, r, r, generator=generator) * std
    noisy = truth * 100 + noise.triu() + noise.triu(1).transpose(1, 2)
    roots = mixture._shrunk_roots(noisy[None], counts, std / counts)[0]
    error = (roots @ roots.transpose(1, 2) - truth).square().sum((1, 2)).mean()
    raw_error = (noisy / 100 - truth).square().sum((1, 2)).mean()
    assert error < 0.5 * raw_error


def test_cells_are_afforded_until_their_noise_is_wider_than_the_class() -> None:
    """Noise as strong as where eight cells turn into one, drawn: its largest eigenvalue."""
    records, r, low, high = 6000.0, 60, 0.01, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        if affordable_cells(middle, class_records=records, directions=r) == CELLS:
            low = middle
        else:
            high = middle
    event = next(e for e in prior_events(low, CELLS) if e.name == "cells/covariances")
    std = event.noise_multiplier * mixture.sensitivities(mixture.clip_radius(r))[event.name]
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(20, r * (r + 1) // 2, generator=generator) * std
    noise = unflatten_symmetric(drawn, r) / (records / CELLS)
    widest = torch.linalg.eigvalsh(noise).abs().amax(1).mean()
    assert widest.item() == pytest.approx(1.5, rel=0.06)
    assert affordable_cells(2 * low, class_records=2.1 * records, directions=r) == CELLS
    assert affordable_cells(0.0, class_records=1.0, directions=r) == CELLS


def test_no_replacement_moves_a_statistic_past_its_sensitivity() -> None:
    generator = torch.Generator().manual_seed(2)
    radius, r = 1.5, 3
    limits = list(mixture.sensitivities(radius).values())
    largest = [0.0, 0.0, 0.0]
    centers = torch.randn(2, 2, r, generator=generator)
    weight = torch.ones(2, r)
    for trial in range(400):
        white = torch.randn(6, r, generator=generator) * 10
        labels = torch.randint(0, 2, (6,), generator=generator)
        other, other_labels = white.clone(), labels.clone()
        if trial % 2:  # the mirror image in the same cell's far direction, or anywhere
            other[0] = torch.randn(r, generator=generator) * 10
            other_labels[0] = torch.randint(0, 2, (1,), generator=generator)
        else:  # opposite offsets on the bisector of the two centers: one cell
            k = int(labels[0])
            middle = centers[k].mean(0)
            across = centers[k, 1] - centers[k, 0]
            along = torch.linalg.cross(across, torch.randn(3, generator=generator))
            along = 50 * along / along.norm()
            white[0] = middle + along - 0.01 * across
            other[0] = middle - along - 0.01 * across
        pairs = zip(
            cell_statistics(white, labels, centers, weight, radius),
            cell_statistics(other, other_labels, centers, weight, radius),
            strict=True,
        )
        moved = [float((a - b).norm()) for a, b in pairs]
        largest = [max(a, b) for a, b in zip(largest, moved, strict=True)]
    for reached, limit in zip(largest, limits, strict=True):
        assert reached <= limit
        assert reached > 0.95 * limit  # the stated sensitivity is tight


def test_a_replaced_record_changes_two_cells_and_no_bit_of_the_others() -> None:
    generator = torch.Generator().manual_seed(3)
    white = torch.randn(5000, 6, generator=generator)
    labels = torch.randint(0, 3, (5000,), generator=generator)
    centers, weight = torch.randn(3, 4, 6, generator=generator), torch.ones(3, 6)
    white[0], labels[0] = 100 * centers[0, 1], 0
    other, other_labels = white.clone(), labels.clone()
    other[0], other_labels[0] = 100 * centers[1, 2], 1  # another class: both classes' sizes change
    pairs = zip(
        cell_statistics(white, labels, centers, weight, 4.0),
        cell_statistics(other, other_labels, centers, weight, 4.0),
        strict=True,
    )
    for before, after in pairs:
        assert before.dtype == torch.float64
        same = (before == after).reshape(12, -1).all(1)
        assert int((~same).sum()) == 2  # one cell lost the record and one got it


def test_each_release_carries_the_noise_it_is_charged_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact statistics are replaced by zeros, so what `noised` adds can be read off."""
    images, labels = made_data(400)
    seen: dict[str, Tensor] = {}
    charged = {e.name: e.noise_multiplier for e in prior_events(2.0, 2)}
    real = gaussian.unflatten_symmetric

    def spy(vectors: Tensor, dim: int) -> Tensor:
        seen["cells/covariances"] = vectors
        return real(vectors, dim)

    def nothing(*arguments: object) -> tuple[Tensor, Tensor, Tensor]:
        return torch.zeros(60), torch.zeros(60, 8), torch.zeros(60, 36)

    monkeypatch.setattr(gaussian, "unflatten_symmetric", spy)
    monkeypatch.setattr(mixture, "cell_statistics", nothing)
    release(images, labels, 2.0, cells=30, r=8)
    radius = mixture.clip_radius(8)
    expected = charged["cells/covariances"] * mixture.sensitivities(radius)["cells/covariances"]
    assert seen["cells/covariances"].std().item() == pytest.approx(expected, rel=0.1)


def test_the_events_cost_one_gaussian_and_name_every_release() -> None:
    events = prior_events(0.7, cells=8)
    assert [event.name for event in events] == list(MIXTURE_SHARES)
    assert sum(e.count / e.noise_multiplier**2 for e in events) == pytest.approx(0.7**-2)
    assert {e.name: e.count for e in events if e.count > 1} == {
        "cells/counts": CELL_STEPS,
        "cells/means": CELL_STEPS,
    }


def test_repeatable_and_keyed() -> None:
    images, labels = made_data(400)
    first, again = release(images, labels, 1.0), release(images, labels, 1.0)
    assert torch.equal(first.factors, again.factors)
    assert not torch.equal(first.means, release(images, labels, 1.0, key="other").means)


def test_a_class_without_records_is_no_obstacle() -> None:
    images, _ = made_data(400)
    prior = release(images, torch.zeros(400, dtype=torch.long), 1.0)
    assert all(value.isfinite().all() for value in prior.tensors().values())


def test_refusals() -> None:
    images, labels = made_data(400)
    prior = release(images, labels, 1.0)
    setting = {"directions": 4, "noise_multiplier": 1.0, "key": "k", "seed": 0}
    with pytest.raises(InvalidArgument, match="prior: received '2 cells'"):
        split_classes(prior, images, labels, cells=2, **setting)
    with pytest.raises(InvalidArgument, match="cells: received 1"):
        split_classes(prior, images, labels, cells=1, **setting)
