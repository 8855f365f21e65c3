"""The private diffusion model: per-sample gradients, sensitivity, coins, sampling."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from companion.studies.diffusion.network import Denoiser, denoising_loss, random_levels
from companion.studies.diffusion.per_sample import recorded, recording_layers
from companion.studies.diffusion.sampling import noise_levels, sample
from companion.studies.diffusion.training import (
    DiffusionSettings,
    DiffusionTrainer,
    prior_images,
)
from dpgen_core.config.make import make_config
from dpgen_core.data.sets import ImageData, load
from dpgen_core.streams import HiddenStream, recorded_streams, stream
from dpgen_core.training.session import make_prior

SETTINGS = DiffusionSettings(
    width=8, pretraining_steps=2, pretraining_batch=20, views=2, records_at_once=5
)


@pytest.fixture(scope="module")
def config():
    return make_config(
        dataset="glyphs",
        method="dp-sgd-critic/with-prior",
        profile="smoke",
        sampling_rate=0.01,
        rounds=3,
        max_grad_norm=0.1,
    )


@pytest.fixture(scope="module")
def records(config):
    return load("glyphs", "train", num_records=config.privacy.num_records)


def trainer_of(config):
    trainer = DiffusionTrainer(config, SETTINGS, device=torch.device("cpu"))
    generator = stream(1, "weights")
    for p in trainer.denoiser.parameters():  # some start at zero, which hides their gradients
        p.data += 0.05 * torch.randn(p.shape, generator=generator)
    return trainer


def test_per_sample_gradients_are_those_of_autograd_summed_over_views():
    generator = stream(0, "per-sample")
    denoiser = Denoiser((1, 12, 12), 3, width=8)
    for p in denoiser.parameters():
        p.data = 0.1 * torch.randn(p.shape, generator=generator)
    images, noise = torch.randn(2, 6, 1, 12, 12, generator=generator)
    labels, level = torch.arange(6) % 3, random_levels(6, generator)
    with recorded(recording_layers(denoiser), views=2) as gradients:
        denoising_loss(denoiser, images, labels, level, noise).sum().backward()
        found = gradients()
    for record in range(3):
        rows = slice(2 * record, 2 * record + 2)
        parts = images[rows], labels[rows], level[rows], noise[rows]
        loss = denoising_loss(denoiser, *parts).sum()
        expected = torch.autograd.grad(loss, list(denoiser.parameters()))
        flat = torch.cat([g.flatten() for g in expected])
        torch.testing.assert_close(found[record], flat, rtol=1e-3, atol=1e-4)


def test_a_weight_without_a_recorded_gradient_is_refused():
    with pytest.raises(AssertionError, match="not recorded"):
        recording_layers(nn.Sequential(nn.Linear(2, 2)))


def joined(config):
    draws = HiddenStream("key", "coins", 0, 0).uniform(config.privacy.num_records)
    return (draws < config.privacy.sampling_rate).nonzero()[:, 0]


def replaced(records, row):
    images, labels = records.images.clone(), records.labels.clone()
    images[row], labels[row] = 1 - images[row], (labels[row] + 1) % 10
    return ImageData("other", images, labels, records.class_names)


def released(config, records):
    trainer = trainer_of(config)
    trainer.step(records, 0, "key")
    flat = torch.cat([p.grad.flatten() for p in trainer.denoiser.parameters()])
    return flat * config.privacy.sampling_rate * config.privacy.num_records


def test_a_record_that_joins_moves_the_release_by_two_clip_bounds_at_most(config, records):
    change = released(config, records) - released(config, replaced(records, joined(config)[0]))
    bound = 2 * config.privacy.max_grad_norm
    assert 0.1 * bound < change.norm() <= bound * 1.0001  # rounding to the grid and to float32


def test_a_record_that_does_not_join_moves_nothing(config, records):
    missing = next(row for row in range(len(records.labels)) if row not in joined(config))
    change = released(config, records) - released(config, replaced(records, missing))
    assert not change.any()


def test_the_noise_has_the_scale_that_was_charged(config, records):
    quiet = config.replace(noise_multiplier=1e-9)
    noise = released(config, records) - released(quiet, records)
    expected = config.privacy.noise_multiplier * config.privacy.max_grad_norm
    assert float(noise.std()) == pytest.approx(expected, rel=0.02)


def test_coins_and_noise_come_from_the_hidden_stream_of_the_round(config, records):
    trainer = trainer_of(config)
    with recorded_streams() as opened:
        trainer.step(records, 2, "key")
    hidden = {(key, path) for kind, key, path in opened if kind == "hidden"}
    assert hidden == {("key", ("coins", 2, 0)), ("key", ("noise", 2, 0))}


def test_an_empty_round_is_noise_alone(config, records):
    lonely = config.replace(sampling_rate=1e-9)
    assert len(joined(lonely)) == 0
    assert trainer_of(lonely).step(records, 0, "key")["clipped_share"] == 0.0


def test_pretraining_learns_the_prior_and_leaves_the_records_alone(config, records):
    cpu = torch.device("cpu")
    prior = make_prior(config, records, "key", device=cpu)
    images, labels = prior_images(prior, 50, seed=0, device=cpu)
    assert images.amin() == 0.0 and images.amax() <= 1.0 and images.shape == (50, 1, 28, 28)
    assert labels.bincount().tolist() == [5] * 10
    settings = DiffusionSettings(width=8, pretraining_steps=60, pretraining_batch=16)
    trainer = DiffusionTrainer(config, settings, device=cpu)
    level, noise = torch.full((50,), 0.3), torch.randn(images.shape, generator=stream(0, "n"))
    parts = images * 2 - 1, labels, level, noise
    before = denoising_loss(trainer.denoiser, *parts).mean().detach()
    trainer.pretrain(images, labels)
    assert denoising_loss(trainer.denoiser, *parts).mean().detach() < 0.7 * before


def test_samples_are_seeded_images(config):
    denoiser = trainer_of(config).average
    labels = torch.arange(4)
    first, again, other = (
        sample(denoiser, labels, (1, 28, 28), seed=seed, steps=3) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (4, 1, 28, 28) and first.amin() >= 0 and first.amax() <= 1


def test_sampling_finds_the_only_image_that_the_denoiser_knows():
    class Constant(Denoiser):
        def forward(self, noisy, level, labels):
            return torch.full_like(noisy, 0.5)

    made = sample(Constant((1, 8, 8), 2, width=8), torch.zeros(3).long(), (1, 8, 8), seed=0)
    torch.testing.assert_close(made, torch.full_like(made, 0.75))
    assert noise_levels(18)[0] == pytest.approx(80.0) and noise_levels(18)[-1] == 0
