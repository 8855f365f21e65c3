"""Clipping bias: runs agree with closed forms, and the memory repairs what it can, no more."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from companion.studies.clipping_bias import (
    descend,
    measure_bias,
    memory_price,
    settling_point,
    train_classifier,
)
from dpgen_core.checks import InvalidArgument

POINTS = [0.0, 0.0, 9.0]


def test_bias_by_hand() -> None:
    # (3, 0) is shortened to (1, 0), (0, 1) is not: (1, 1) against (3, 1)
    bias = measure_bias(torch.tensor([[[3.0, 0.0]], [[0.0, 1.0]]]), 1.0)
    assert bias.cosine == pytest.approx(4 / (2**0.5 * 10**0.5), abs=1e-5)
    assert bias.clipped_share == 0.5
    assert bias.norm_spread == pytest.approx(2**0.5 / 2, abs=1e-6)


def test_equal_lengths_are_not_biased_and_each_mode_has_its_own_bound() -> None:
    generator = torch.Generator().manual_seed(0)
    unit = torch.nn.functional.normalize(torch.randn(6, 3, 4, generator=generator), dim=2)
    assert measure_bias(5 * unit, 1.0, "per-image").cosine == pytest.approx(1.0, abs=1e-5)
    short = 0.5 * unit  # each image below 1, each owner's norm below it too, but above 1 / sqrt(3)
    assert measure_bias(short, 1.0, "joint").clipped_share == 0.0
    assert measure_bias(1.1 * short, 1.0, "per-image").clipped_share == 0.0
    assert measure_bias(1.2 * short, 1.0, "per-image").clipped_share == 1.0


@pytest.mark.parametrize(
    "error_norm, residual_norm, expected",
    [(0, 0, 0.5), (0.4, 100, 3.0), (0.2, 100, 0.8), (10, 5, 3.0), (10, 2, 1.5)],
)
def test_descent_ends_where_the_closed_form_says(
    error_norm: float, residual_norm: float, expected: float
) -> None:
    bounds = {"max_error_norm": error_norm, "max_residual_norm": residual_norm}
    assert settling_point(POINTS, max_grad_norm=1.0, **bounds) == pytest.approx(expected)
    path = descend(POINTS, max_grad_norm=1.0, steps=3000, **bounds)
    assert path[-1].item() == pytest.approx(expected, abs=0.01)


@settings(deadline=None, max_examples=15)
@given(
    points=st.lists(st.floats(-5, 5), min_size=3, max_size=6, unique=True),
    bound=st.floats(0.3, 2.0),
)
def test_a_large_memory_always_ends_at_the_mean(points: list[float], bound: float) -> None:
    bounds = {"max_grad_norm": bound, "max_error_norm": 100.0, "max_residual_norm": 100.0}
    mean = sum(points) / len(points)
    assert settling_point(points, **bounds) == pytest.approx(mean, abs=1e-6)
    assert descend(points, steps=1000, lr=0.1, **bounds)[-1].item() == pytest.approx(mean, abs=0.1)


def test_equal_points_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="points"):
        settling_point([1.0, 1.0], max_grad_norm=1.0)


def test_clipping_suppresses_a_rare_class_and_the_memory_restores_it() -> None:
    free = train_classifier(max_grad_norm=1e6)
    clipped = train_classifier(max_grad_norm=0.2)
    repaired = train_classifier(max_grad_norm=0.2, max_error_norm=10.0)
    assert free["clipped_share"].max() == 0
    assert free["rare_recall"].iloc[-1] == repaired["rare_recall"].iloc[-1] == 1.0
    assert clipped["rare_recall"].iloc[-1] < 0.5
    assert clipped["cosine"].min() < 0 < 0.99 < free["cosine"].min()
    assert repaired["loss"].iloc[-1] < 0.1 * clipped["loss"].iloc[-1]


def test_price_of_a_server_memory_grows_with_residual_and_participations() -> None:
    table = memory_price([1, 10, 100], [0.0, 0.1, 1.0])
    assert (table.diff(axis=1).iloc[:, 1:] > 0).all().all()
    assert (table.diff().iloc[1:] > 0).all().all()
    extra = table["kappa = 0.1 C1"] / table["no memory"]
    assert extra[100] > extra[1]  # m against sqrt(m)
