"""The frame of an image: what it removes, what it restores, and that it reads one record alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dpgen_core.codes import frames
from dpgen_core.codes.basis import FrequencyBasis
from dpgen_core.codes.frames import ENTRIES, FramedBasis, from_canonical, measure, to_canonical
from dpgen_core.config.make import make_config
from dpgen_core.prior.gaussian import release_prior
from dpgen_core.training.sampler import prior_basis

SIDE = 28
BASIS = FramedBasis((1, SIDE, SIDE), 12)


def bars(*shapes: tuple[float, float, float, float, float]) -> Tensor:
    """Soft ellipses with a notch, each seen in the frame given, (n, 1, h, w)."""
    place = (torch.arange(SIDE) * 2 + 1) / SIDE - 1
    y, x = torch.meshgrid(place, place, indexing="ij")
    one = torch.sigmoid(10 * (1 - ((x / 0.6) ** 2 + (y / 0.76) ** 2).sqrt()))
    one = (one - 0.6 * torch.exp(-(((x - 0.2) / 0.2) ** 2 + ((y - 0.2) / 0.2) ** 2))).clamp(0, 1)
    wanted = torch.tensor(shapes)
    return from_canonical(one.expand(len(wanted), 1, SIDE, SIDE), wanted).clamp(0, 1)


SHAPES = (
    (0.0, 0.0, 0.0, 0.0, 0.0),
    (0.1, -0.1, 0.0, 0.0, 0.0),
    (0.0, 0.0, -0.3, 0.1, 0.0),
    (0.0, 0.1, 0.1, -0.2, 0.4),
    (0.0, 0.0, 0.0, 0.0, -0.4),
)


def test_canonical_images_have_the_public_moments() -> None:
    images = bars(*SHAPES)
    assert float(measure(images).std(0).min()) > 0.03
    left = measure(to_canonical(images, measure(images)))
    assert float(left.abs().max()) < 0.03


def test_one_shape_in_many_frames_is_one_canonical_image() -> None:
    images = bars(*SHAPES)
    canonical = to_canonical(images, measure(images))
    plain = (images - images[:1]).flatten(1).norm(dim=1)[1:]
    framed = (canonical - canonical[:1]).flatten(1).norm(dim=1)[1:]
    assert (framed < 0.25 * plain).all()


def test_round_trip() -> None:
    images = bars(*SHAPES)
    wide = FramedBasis((1, SIDE, SIDE), SIDE)
    for again in (
        from_canonical(to_canonical(images, measure(images)), measure(images)),
        wide.decode(wide.encode(images)),
    ):
        # Two interpolations blur the edges of the shape, and move nothing.
        blur = (again - images).flatten(1).norm(dim=1) / images.flatten(1).norm(dim=1)
        assert float(blur.max()) < 0.03


def test_a_code_is_of_one_record_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sensitivities rest on: replacing a record leaves the other codes as they are."""
    images = bars(*SHAPES)
    other = images.clone()
    other[2] = torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    before, after = BASIS.encode(images), BASIS.encode(other)
    changed = (before != after).any(1)
    assert changed.tolist() == [False, False, True, False, False]
    monkeypatch.setattr(frames, "_BLOCK", 2)
    torch.testing.assert_close(BASIS.encode(images), before)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_images_without_a_shape(fill: float) -> None:
    images = torch.full((2, 1, SIDE, SIDE), fill)
    images[1, 0, 3, 20] = 1.0  # a single pixel
    codes = BASIS.encode(images)
    assert codes.isfinite().all()
    assert (measure(images).abs() <= torch.tensor(frames._REACH)).all()
    assert BASIS.decode(codes).isfinite().all()


def test_decoding_stays_in_bounds_whatever_was_drawn() -> None:
    codes = torch.zeros(2, BASIS.dim)
    codes[:, 0] = 10.0
    codes[0, -ENTRIES:], codes[1, -ENTRIES:] = 1e6, -1e6
    reach = torch.tensor(frames._REACH)
    limit = torch.cat([codes[:, :-ENTRIES], codes[:, -ENTRIES:].sign() * 10 * reach], dim=1)
    torch.testing.assert_close(BASIS.decode(codes), BASIS.decode(limit))
    assert BASIS.decode(codes).isfinite().all()


def test_a_prior_in_frames_draws_the_slants_it_was_shown() -> None:
    generator = torch.Generator().manual_seed(0)
    slants = 0.25 * torch.randn(400, generator=generator)
    images = bars(*[(0.0, 0.0, 0.0, 0.0, float(s)) for s in slants])
    plain = FrequencyBasis((1, SIDE, SIDE), 12)
    error = {}
    for basis in (plain, BASIS):
        prior = release_prior(
            images,
            torch.zeros(400, dtype=torch.long),
            num_classes=1,
            basis=basis,
            scale=basis.falloff(4.0),
            mean_radius=20.0,
            covariance_radius=14.0,
            noise_multiplier=0.0,
            key="frames",
        )
        latents = torch.randn(200, prior.latent_dim, generator=generator)
        drawn = prior.sample(latents, torch.zeros(200, dtype=torch.long)).clamp(0, 1)
        error[basis] = float(torch.cdist(drawn.flatten(1), images.flatten(1)).amin(1).mean())
        if basis is BASIS:
            found, wanted = measure(drawn)[:, 4].std(), measure(images)[:, 4].std()
            assert float(found / wanted) == pytest.approx(1.0, abs=0.2)
    assert error[BASIS] < 0.5 * error[plain]  # a Gaussian over pixels has to blur


def test_a_configuration_chooses_the_basis() -> None:
    config = make_config(dataset="glyphs", method="mixture/with-frame", profile="smoke")
    assert isinstance(prior_basis(config), FramedBasis)
    plain = make_config(dataset="glyphs", method="mixture", profile="smoke")
    assert not isinstance(prior_basis(plain), FramedBasis)
    # The frame is read off a record before anything is charged: the budget buys the same noise.
    assert config.privacy.prior_noise_multiplier == plain.privacy.prior_noise_multiplier
