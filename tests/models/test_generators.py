"""Generators and critics: shapes, seeded noise injection, the switch, the prior as a start."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.checks import InvalidArgument
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.models.critics import build_critic
from dpgen_core.models.generators import (
    CURVES,
    ConvGenerator,
    RefinerGenerator,
    doubled,
    with_contrast,
)
from dpgen_core.prior.gaussian import FrequencyPrior
from dpgen_core.streams import stream

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 16, 16), (3, 36, 36), (1, 64, 64), (3, 128, 128)]


def make_prior(shape: tuple[int, int, int], classes: int) -> FrequencyPrior:
    basis = FrequencyBasis(shape, 5)
    factors = 0.3 * torch.eye(basis.dim).repeat(classes, 2, 1, 1)
    means = torch.randn(classes, 2, basis.dim, generator=torch.Generator().manual_seed(0))
    return FrequencyPrior(
        basis,
        basis.falloff(4.0),
        torch.ones(classes) / classes,
        torch.full((classes, 2), 0.5),
        means,
        factors,
    )


def make_generator(kind: str, shape: tuple[int, int, int], form: str | None):
    torch.manual_seed(0)
    if kind == "conv":
        return ConvGenerator(shape, 3, 8, 4, form)
    return RefinerGenerator(make_prior(shape, 3), 4, form)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["conv", "refiner"])
def test_images_and_noise_injection(kind: str, shape: tuple[int, int, int]) -> None:
    generator = make_generator(kind, shape, "pixel")
    drawn = stream(0, "drawn")
    with torch.no_grad():
        for p in generator.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=drawn))
    latents = torch.randn(4, generator.latent_dim, generator=drawn)
    labels = torch.tensor([0, 1, 2, 0])
    first = generator(latents, labels, stream(0, "a"))
    assert first.shape == (4, *shape)
    assert 0 <= first.min().item() <= first.max().item() <= 1
    assert torch.equal(first, generator(latents, labels, stream(0, "a")))
    assert not torch.equal(first, generator(latents, labels, stream(0, "b")))
    quiet = make_generator(kind, shape, None)
    assert torch.equal(
        quiet(latents, labels, stream(0, "a")), quiet(latents, labels, stream(0, "b"))
    )


def test_each_class_has_its_own_images() -> None:
    generator = make_generator("conv", (1, 28, 28), None)
    latents = torch.randn(1, 8, generator=stream(0, "latents")).repeat(2, 1)
    a, b = generator(latents, torch.tensor([0, 1]), stream(0))
    assert not torch.allclose(a, b, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_black_is_black_and_white_is_white_on_the_whole_range(channels: int) -> None:
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, channels, 2, 2)
    stretch = with_contrast(ends, "full-range")
    torch.testing.assert_close(stretch, ends, atol=1e-6, rtol=0)
    gray = with_contrast(ends, "logistic")
    assert gray[0].max() > 0.02 and gray[1].min() < 0.99
    # in between it is the same curve, up to a straight stretch
    between = torch.linspace(0, 1, 9).view(9, 1, 1, 1).expand(9, channels, 1, 1)
    old, new = (with_contrast(between, curve).double() for curve in CURVES)
    torch.testing.assert_close(
        (new - new[0]) / (new[-1] - new[0]), (old - old[0]) / (old[-1] - old[0])
    )


def test_refiner_with_the_whole_range_keeps_its_gradient_at_black() -> None:
    torch.manual_seed(0)
    generator = RefinerGenerator(make_prior((1, 28, 28), 2), 4, None, curve="full-range")
    latents = torch.randn(6, generator.latent_dim, generator=stream(0, "latents"))
    images = generator(latents, torch.arange(6) % 2, stream(0))
    start = generator.prior.sample(latents, torch.arange(6) % 2)
    torch.testing.assert_close(images, with_contrast(start, "full-range"))
    assert images.min() < 0  # blacker than black: `PublicSide.sample` clips it
    images[images <= 0].sum().backward()
    assert generator.to_image.bias.grad.abs().sum() > 0


def test_refiner_starts_at_the_prior() -> None:
    generator = make_generator("refiner", (1, 28, 28), "pixel")
    latents = torch.randn(3, generator.latent_dim, generator=stream(0, "latents"))
    labels = torch.tensor([0, 1, 2])
    start = generator.prior.sample(latents, labels)
    expected = torch.sigmoid(generator.gain * (start - generator.threshold))
    torch.testing.assert_close(generator(latents, labels, stream(0)), expected)


@pytest.mark.parametrize("by_label", [True, False])
def test_the_refiner_sees_the_label_only_where_it_is_told(by_label: bool) -> None:
    shape = (1, 28, 28)
    prior = make_prior(shape, 2)
    prior.means[1] = prior.means[0]  # the prior's images are alike in both classes
    torch.manual_seed(0)
    generator = RefinerGenerator(prior, 4, None, by_label=by_label)
    torch.nn.init.normal_(generator.to_image.weight)
    latents = torch.randn(1, generator.latent_dim, generator=stream(0, "latents")).repeat(2, 1)
    a, b = generator(latents, torch.tensor([0, 1]), stream(0))
    assert torch.allclose(a, b, atol=1e-5) is not by_label


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_critic_scores_and_logits(name: str, shape: tuple[int, int, int]) -> None:
    basis = FrequencyBasis(shape, 6)
    torch.manual_seed(0)
    critic = build_critic(name, basis=basis, num_classes=3, width=8, classify=True)
    codes = torch.randn(5, basis.dim, generator=stream(0, "codes"))
    labels = torch.tensor([0, 1, 2, 0, 1])
    assert critic(codes, labels).shape == (5,)
    assert critic.classify(codes).shape == (5, 3)
    assert not torch.allclose(critic(codes, labels), critic(codes, labels.roll(1)))


def test_unknown_critic() -> None:
    with pytest.raises(InvalidArgument, match="critic: received 'transformer'.*mlp, conv"):
        build_critic(
            "transformer",
            basis=FrequencyBasis((1, 8, 8), 4),
            num_classes=2,
            width=4,
            classify=False,
        )


def test_doubling_repeats_each_pixel_four_times() -> None:
    features = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    repeated = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(doubled(features), repeated)
