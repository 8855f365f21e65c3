"""Canaries: planted as described, with valid p-values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm

from companion.studies.canaries import (
    LOUDNESS,
    Canaries,
    CanaryGuesses,
    accuracy_p_value,
    one_run_epsilon,
    one_run_p_value,
)
from companion.studies.training_checks import audit_config
from dpgen_core.accounting import GaussianEvent, SampledGaussianEvent
from dpgen_core.accounting.calibration import total_variation
from dpgen_core.checks import InvalidArgument
from dpgen_core.data.sets import ImageData
from dpgen_core.training.owner_trainer import OwnerTrainer


def make_trainer(data: ImageData, **changes: object) -> OwnerTrainer:
    config = audit_config(num_records=600, num_shards=30, sampling_rate=0.9, **changes)
    return OwnerTrainer(config, data, "key", device=torch.device("cpu"))


def test_canaries_answer_for_their_owners_only(tiny_glyphs: ImageData) -> None:
    trainer = make_trainer(tiny_glyphs)
    latents, labels = trainer.latents("round", 0, trainer.config.contribution.generated_batch)
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(len(latents), trainer.basis.dim, generator=generator)
    joined = torch.tensor([1, 4, 20])
    public = (torch.zeros(10, trainer.basis.dim), torch.ones(10))
    honest = trainer.ensemble.answer(joined, codes, labels, public, reconstruction_weight=0.0)
    canaries = Canaries(trainer, 10, seed=3)
    said = trainer.ensemble.answer(joined, codes, labels, public, reconstruction_weight=0.0)
    assert torch.equal(said[2], honest[2])
    for row, owner in ((0, 1), (1, 4)):
        expected = LOUDNESS * canaries.bits[owner] * canaries.directions[owner]
        torch.testing.assert_close(said[row].flatten(), expected)
    gram = canaries.directions @ canaries.directions.T
    torch.testing.assert_close(gram, torch.eye(10), atol=1e-5, rtol=0)


def test_scores_find_the_bits_when_there_is_no_noise(tiny_glyphs: ImageData) -> None:
    trainer = make_trainer(tiny_glyphs)
    canaries = Canaries(trainer, 30)
    canaries.listen((canaries.bits[:, None] * canaries.directions).sum(0))
    guesses = canaries.guesses()
    assert guesses.correct == 30 and guesses.most_confident(7) == 7
    wrong = CanaryGuesses(-guesses.scores, guesses.bits)
    assert wrong.correct == 0


def test_total_variation_of_known_releases() -> None:
    assert total_variation([]) == 0.0
    exact = 2 * norm.cdf(1 / 4) - 1
    assert exact <= total_variation([GaussianEvent("sum", 2.0)]) <= exact + 2e-4
    once = SampledGaussianEvent("rounds", 0.1, 0.25)  # hardly any noise: seen whenever it joins
    assert total_variation([once]) == pytest.approx(0.25, abs=2e-3)


def test_one_run_bound_without_slack_is_a_binomial_tail() -> None:
    chance = np.exp(1.0) / (1 + np.exp(1.0))
    assert one_run_p_value(45, 50, 100, 1.0, 0.0) == pytest.approx(binom.sf(44, 50, chance))


def test_one_run_slack_by_brute_force() -> None:
    epsilon, delta, canaries, guesses, correct = 1.0, 1e-3, 40, 20, 18
    chance = 1 / (1 + np.exp(-epsilon))
    tail = [binom.sf(correct - i - 1, guesses, chance) for i in range(correct + 1)]
    alpha = max((tail[i] - tail[0]) / i for i in range(1, correct + 1))
    expected = tail[0] + 2 * canaries * delta * alpha
    found = one_run_p_value(correct, guesses, canaries, epsilon, delta)
    assert found == pytest.approx(expected, rel=1e-9)


def test_one_run_epsilon_inverts_the_p_value() -> None:
    found = one_run_epsilon(95, 100, 500, delta=1e-5)
    assert one_run_p_value(95, 100, 500, found - 0.01, 1e-5) < 0.05
    assert one_run_p_value(95, 100, 500, found + 0.01, 1e-5) > 0.05
    assert one_run_epsilon(52, 100, 500, delta=1e-5) == 0.0


def test_coins_are_rejected_as_often_as_they_may_be() -> None:
    """Size of the accuracy test at its boundary: 5 % at most."""
    chance = (1 + 0.4) / 2
    draws = np.random.default_rng(0).binomial(400, chance, size=2000)
    values = [accuracy_p_value(int(count), 400, 0.4) for count in draws]
    assert 0.02 < np.mean(np.array(values) < 0.05) <= 0.06


def test_bad_counts_are_named(tiny_glyphs: ImageData) -> None:
    with pytest.raises(InvalidArgument, match="count: received 31"):
        Canaries(make_trainer(tiny_glyphs), 31)
    with pytest.raises(InvalidArgument, match="correct"):
        one_run_p_value(11, 10, 20, 1.0, 0.0)
