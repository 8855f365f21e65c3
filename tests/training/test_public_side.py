"""What is sampled: the curve, clipping, dither, and that all of it is public."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.checks import InvalidArgument
from dpgen_core.config.budget import planned_events
from dpgen_core.config.make import make_config
from dpgen_core.config.schema import ExperimentConfig
from dpgen_core.data.dither import add_dither, add_grain
from dpgen_core.data.sets import ImageData
from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.streams import recorded_streams, stream
from dpgen_core.training.public_side import PublicSide
from dpgen_core.training.session import make_prior

CPU = torch.device("cpu")
LABELS = torch.arange(40) % 10


def config_of(method: str, **settings: object) -> ExperimentConfig:
    return make_config(dataset="glyphs", profile="smoke", method=method, **settings)


@pytest.fixture(scope="module")
def prior(tiny_glyphs: ImageData) -> FrequencyPrior:
    return make_prior(config_of("mixture", num_records=600), tiny_glyphs, "key", device=CPU)


@pytest.mark.parametrize("method", ["mixture", "efsgd-prior"])
def test_a_black_ground_stays_black(method: str, prior: FrequencyPrior) -> None:
    shares = {}
    for curve in ("logistic", "full-range"):
        side = PublicSide(config_of(method, prior_curve=curve), device=CPU, prior=prior)
        images = side.sample(LABELS)
        assert 0 <= images.min() <= images.max() <= 1
        shares[curve] = float((images == 0).double().mean())
    assert shares["logistic"] < 0.01 and shares["full-range"] > 0.2


def test_dither_is_added_to_the_finished_samples(prior: FrequencyPrior) -> None:
    plain, noisy, other = (
        PublicSide(config_of("mixture", dither=std), device=CPU, prior=prior).sample(LABELS)
        for std in (0.0, 0.08, 0.3)
    )
    expected = add_dither(plain, 0.08, stream(0, "samples", 0, "dither"))
    assert torch.equal(noisy, expected) and not torch.equal(noisy, plain)
    assert (other - plain).std() > 2 * (noisy - plain).std()


def test_grain_is_added_to_the_finished_samples(prior: FrequencyPrior) -> None:
    plain, grainy = (
        PublicSide(config_of("mixture", grain=most), device=CPU, prior=prior).sample(LABELS)
        for most in (0.0, 0.5)
    )
    assert torch.equal(grainy, add_grain(plain, 0.5, stream(0, "samples", 0, "grain")))
    assert not torch.equal(grainy, plain)


def test_temperature_widens_what_is_drawn_and_leaves_the_cells(tiny_glyphs: ImageData) -> None:
    config = config_of("mixture", num_records=600, prior_cells=4, prior_contrast=False)
    prior = make_prior(config, tiny_glyphs, "key", device=CPU)
    latents = torch.randn(len(LABELS), prior.latent_dim, generator=stream(0, "samples", 0))
    cold = prior.sample(latents, LABELS)
    latents[:, : prior.basis.dim] *= 2.0
    expected = prior.sample(latents, LABELS)
    made = PublicSide(config.replace(temperature=2.0), device=CPU, prior=prior).sample(LABELS)
    assert torch.equal(made, expected.clamp(0, 1)) and expected.std() > 1.2 * cold.std()
    latents[:, prior.basis.dim :] *= 2.0
    assert not torch.equal(prior.sample(latents, LABELS), expected)  # of other cells
    with pytest.raises(InvalidArgument, match="temperature: received 0"):
        config_of("mixture", temperature=0)


def test_temperature_is_on_every_entry_of_a_latent_without_prior() -> None:
    cold, hot = (
        PublicSide(config_of("efsgd", temperature=t), device=CPU).sample(LABELS) for t in (1.0, 2.0)
    )
    assert not torch.equal(cold, hot)


@pytest.mark.parametrize("added", [{"dither": 0.08}, {"grain": 0.5}, {"temperature": 1.5}])
def test_noise_costs_nothing_and_touches_nothing_hidden(
    prior: FrequencyPrior, added: dict[str, float]
) -> None:
    noisy, plain = config_of("mixture", **added), config_of("mixture")
    assert planned_events(noisy) == planned_events(plain)
    with recorded_streams() as opened:
        PublicSide(noisy, device=CPU, prior=prior).sample(LABELS)
    assert opened and {kind for kind, *_ in opened} == {"stream"}
