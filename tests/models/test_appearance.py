"""Appearance noise: what it changes, what it leaves alone, and that its strengths are learned."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dpgen_core.checks import InvalidArgument
from dpgen_core.codes.frames import measure
from dpgen_core.config.make import make_config
from dpgen_core.models.appearance import DRAWS, AppearanceNoise, show
from dpgen_core.models.generators import ConvGenerator
from dpgen_core.models.noise_injection import NoiseOfSome
from dpgen_core.streams import stream

SIDE = 28


def blob(count: int) -> Tensor:
    """A soft upright ellipse in the middle, (count, 1, h, w), at most one half."""
    place = (torch.arange(SIDE) * 2 + 1) / SIDE - 1
    y, x = torch.meshgrid(place, place, indexing="ij")
    one = 0.5 * torch.exp(-((x / 0.3) ** 2) - (y / 0.4) ** 2)
    return one.expand(count, 1, SIDE, SIDE)


def numbers(**wanted: float) -> Tensor:
    """One row of `show`'s numbers: those named, the others zero."""
    names = ("gain", "x", "y", "width", "height", "slant")
    return torch.tensor([[wanted.get(name, 0.0) for name in names]])


def test_zeros_change_nothing() -> None:
    torch.testing.assert_close(show(blob(3), torch.zeros(3, DRAWS)), blob(3))


def test_brightness_alone() -> None:
    shown = show(blob(1), numbers(gain=0.4))
    torch.testing.assert_close(shown, blob(1) * torch.tensor(0.4).exp())
    assert float(show(blob(1), numbers(gain=3.0)).max()) == 1.0


@pytest.mark.parametrize(
    ("wanted", "entry"), [("x", 0), ("y", 1), ("width", 2), ("height", 3), ("slant", 4)]
)
def test_each_number_moves_its_own_moment(wanted: str, entry: int) -> None:
    before = measure(blob(1))
    moved = [measure(show(blob(1), numbers(**{wanted: step}))) - before for step in (-0.2, 0.2)]
    # The map says where each pixel is read, so a wider map shows a narrower image.
    assert float(moved[0][0, entry]) > 0.1
    assert float(moved[1][0, entry]) < -0.1
    others = [index for index in range(5) if index != entry]
    assert float(torch.cat(moved)[:, others].abs().max()) < 0.05


def test_beyond_the_edge_an_image_goes_on() -> None:
    bright = torch.ones(1, 3, SIDE, SIDE)
    torch.testing.assert_close(show(bright, numbers(x=0.4, width=0.3)), bright)


def test_each_class_has_strengths_of_its_own_and_they_are_learned() -> None:
    noise = AppearanceNoise(2)
    with torch.no_grad():
        noise.strength[0] = 0.0
    draws = torch.randn(4, DRAWS, generator=stream(0, "draws"))
    labels = torch.tensor([0, 1, 0, 1])
    shown = noise(blob(4), labels, draws)
    assert torch.allclose(shown[labels == 0], blob(2), atol=1e-6)
    assert not torch.allclose(shown[labels == 1], blob(2), atol=1e-2)
    weights = torch.rand(shown.shape, generator=stream(0, "weights"))
    (shown * weights).sum().backward()
    assert noise.strength.grad is not None
    assert bool((noise.strength.grad != 0).all())


def test_a_wild_draw_stays_in_bounds() -> None:
    noise = AppearanceNoise(1)
    labels = torch.zeros(1, dtype=torch.int64)
    wild, bounded = (noise(blob(1), labels, torch.full((1, DRAWS), z)) for z in (50.0, 3.0))
    assert torch.equal(wild, bounded)


def make_generator(drawn: bool) -> ConvGenerator:
    torch.manual_seed(0)
    return ConvGenerator((1, SIDE, SIDE), 3, 8, 4, None, drawn)


def test_the_generator_draws_anew_for_each_image_and_only_when_told() -> None:
    latents = torch.randn(1, 8, generator=stream(0, "latents")).repeat(2, 1)
    labels = torch.tensor([1, 1])
    one, other = make_generator(True)(latents, labels, stream(0, "a"))
    assert not torch.allclose(one, other, atol=1e-2)
    one, other = make_generator(False)(latents, labels, stream(0, "a"))
    # Close, not equal: how a row of a product is rounded depends on its place in the batch.
    torch.testing.assert_close(one, other)


def test_off_leaves_generator_and_noise_as_they_were() -> None:
    """Records made before the switch existed stay reproducible."""
    drawn, plain = make_generator(True), make_generator(False)
    weights = drawn.state_dict()
    assert set(weights) - set(plain.state_dict()) == {"appearance.strength"}
    assert all(torch.equal(weights[name], value) for name, value in plain.state_dict().items())


def test_an_images_appearance_does_not_depend_on_who_makes_it() -> None:
    generator = make_generator(True)
    latents = torch.randn(4, 8, generator=stream(0, "latents"))
    labels = torch.tensor([0, 1, 2, 0])
    whole = generator(latents, labels, stream(0, "a"))
    some = NoiseOfSome(stream(0, "a"), range(1, 3), 4)
    torch.testing.assert_close(generator(latents[1:3], labels[1:3], some), whole[1:3])


@pytest.mark.parametrize("method", ["efsgd-prior", "gaussian", "mixture"])
def test_not_where_a_prior_makes_the_images(method: str) -> None:
    with pytest.raises(InvalidArgument, match="appearance_noise"):
        make_config(
            dataset="glyphs", method=method, profile="smoke", epsilon=10.0, appearance_noise=True
        )


def test_the_switch_changes_no_privacy_parameter() -> None:
    on, off = (
        make_config(dataset="glyphs", method=method, profile="smoke").to_dict()
        for method in ("efsgd/with-appearance", "efsgd")
    )
    assert {name for name in on if on[name] != off[name]} == {"method", "appearance_noise"}
