"""Membership inference: exact where it can be computed by hand, blind where it should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from companion.studies.membership import _outliers, audit_membership, delong, nearest_distance
from dpgen_core.checks import InvalidArgument
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import load


def test_nearest_distance_stays_within_a_label() -> None:
    codes, labels = torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    fakes, fake_labels = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 9.0]]), torch.tensor([0, 1, 0])
    assert nearest_distance(codes, labels, fakes, fake_labels).tolist() == [5.0, 1.0]


def test_area_by_counting_pairs() -> None:
    generator = np.random.default_rng(0)
    positive, negative = generator.integers(0, 6, 40), generator.integers(0, 5, 30)
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    area, low, high = delong(positive.astype(float), negative.astype(float))
    assert area == pytest.approx(np.mean(pairs)) and low < area < high


def test_interval_covers_one_half_for_equal_distributions() -> None:
    generator = np.random.default_rng(1)
    covered = [
        low <= 0.5 <= high
        for _, low, high in (
            delong(generator.normal(size=80), generator.normal(size=80), 0.9) for _ in range(400)
        )
    ]
    assert 0.85 < np.mean(covered) < 0.95


def test_a_copying_generator_is_found_and_an_honest_one_is_not() -> None:
    config = make_config(
        dataset="glyphs", method="gaussian", profile="smoke", num_records=1000, epsilon=10.0
    )
    pool = load("glyphs", "train", num_records=2000)
    sizes = {"pairs": 400, "outliers": 20, "synthetic": 1000}
    honest = audit_membership(config, pool, **sizes)  # type: ignore[arg-type]
    assert honest.auc_low < 0.5 < honest.auc_high and honest.pairs_epsilon == 0.0
    thief = audit_membership(config, pool, copies=300, **sizes)  # type: ignore[arg-type]
    assert thief.auc_low > 0.5 and thief.pairs_epsilon > 1.0 and thief.copying_p_value < 1e-6
    assert thief.pairs_right > honest.pairs_right


def test_planted_pairs_differ_in_nothing_but_the_noise() -> None:
    config = make_config(dataset="glyphs", method="gaussian", profile="smoke", num_records=1000)
    images, labels = _outliers(30, config, seed=1)
    assert images.shape == (60, 1, 28, 28) and torch.equal(labels[:30], labels[30:])
    assert len(labels.unique()) > 5 and not torch.equal(images[:30], images[30:])


def test_a_pool_without_others_is_refused() -> None:
    config = make_config(dataset="glyphs", method="gaussian", profile="smoke", num_records=1000)
    with pytest.raises(InvalidArgument, match="twice num_records"):
        audit_membership(config, load("glyphs", "train", num_records=1500))
