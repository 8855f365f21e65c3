"""Clipping: the bound holds in floating-point arithmetic, and short rows stay as they are."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.mechanism.clipping import (
    _SHRINK as SHRINK,
    clip_contributions,
    clip_rows,
    row_norms,
)


def test_each_image_gets_an_equal_part_of_the_bound() -> None:
    u = torch.full((1, 4, 9), 100.0)
    v, norms = clip_contributions(u, 3.0, "per-image")
    torch.testing.assert_close(v.norm(dim=2), torch.full((1, 4), SHRINK * 3.0 / 4**0.5))
    assert norms.dtype == u.dtype


@pytest.mark.parametrize("dim", [100_000, 1_000_000])
def test_the_bound_holds_for_long_contributions(dim: int) -> None:
    """In float32 a norm is off by more than any fixed margin once the sum is long enough."""
    u = torch.randn(3, 1, dim, generator=torch.Generator().manual_seed(1)).abs() * 100
    v, _ = clip_contributions(u, 1.0)
    norms = v.flatten(1).double().norm(dim=1)
    assert SHRINK - 1e-6 < norms.min().item() <= norms.max().item() <= 1.0


def test_clip_leaves_short_rows_alone_and_silences_broken_ones() -> None:
    rows = torch.tensor([[0.3, 0.4], [torch.nan, 1.0], [torch.inf, 0.0]])
    clipped, _ = clip_rows(rows, 1.0)
    torch.testing.assert_close(clipped, torch.tensor([[0.3, 0.4], [0.0, 0.0], [0.0, 0.0]]))


def test_norms_are_summed_in_double_precision_whatever_the_length() -> None:
    for dim in (1, 511, 512, 513, 5000):
        rows = torch.randn(7, dim, generator=torch.Generator().manual_seed(dim))
        norms = row_norms(rows)
        assert norms.dtype == torch.float64
        torch.testing.assert_close(norms, rows.double().norm(dim=1), atol=0, rtol=1e-6)


@pytest.mark.parametrize("max_norm", [1e-6, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("dim", [1, 2, 7, 600])
def test_the_bound_holds_for_every_finite_entry(max_norm: float, dim: int) -> None:
    """Squares and factors of such rows leave the range of float32."""
    for entry in (1e19, 1e37, 3e38 / dim**0.5, 3e38):
        clipped, _ = clip_rows(torch.full((1, dim), entry), max_norm)
        assert (SHRINK - 1e-6) * max_norm < float(clipped.double().norm()) <= max_norm


def test_norms_of_huge_rows_in_parts_are_those_of_the_rows_side_by_side() -> None:
    left, right = torch.tensor([[3e37], [4e30], [1.0]]), torch.tensor([[0.0, 4e37]] * 3)
    expected = torch.cat([left, right], dim=1).double().norm(dim=1)
    torch.testing.assert_close(row_norms(left, right), expected, atol=0, rtol=1e-6)


def test_a_row_that_needs_no_care_is_the_same_beside_one_that_does() -> None:
    rows = torch.randn(3, 5, generator=torch.Generator().manual_seed(2)) * 3
    rows[2] *= 1e-3
    beside = torch.cat([rows, torch.full((1, 5), 1e37), torch.full((1, 5), torch.inf)])
    clipped, _ = clip_rows(beside, 1.0)
    factors = (SHRINK / rows.double().norm(dim=1)).clamp(max=1.0)
    torch.testing.assert_close(clipped[:3], rows * factors.float()[:, None])
    assert torch.equal(clipped[2], rows[2])
    assert not clipped[4].any()
