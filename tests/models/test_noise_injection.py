"""Noise in each form: where it is added, what is shared, and what is learned."""

from __future__ import annotations

import pytest
import torch

from dpgen_core.models.generators import ConvGenerator
from dpgen_core.models.noise_injection import FORMS, NoiseInjection, NoiseOfSome, draw
from dpgen_core.streams import stream

FEATURES = torch.zeros(3, 4, 5, 5)


def scales(form: str | None) -> list[torch.nn.Parameter]:
    """Of a generator with three stages, coarse to fine."""
    network = ConvGenerator((1, 64, 64), 2, 8, 4, form)
    return [stage.noise.scale for stage in network.stages]  # type: ignore[union-attr, misc]


def test_a_draw_is_shared_by_channels_or_by_pixels() -> None:
    by_pixel = NoiseInjection(4, FORMS["pixel"])(FEATURES, stream(0, "a"))
    assert (by_pixel == by_pixel[:, :1]).all() and by_pixel[0, 0].unique().numel() == 25
    by_channel = NoiseInjection(4, FORMS["channel"])(FEATURES, stream(0, "a"))
    assert (by_channel == by_channel[..., :1, :1]).all() and by_channel.unique().numel() == 12
    assert torch.equal(NoiseInjection(4, None)(FEATURES, stream(0, "a")), FEATURES)


@pytest.mark.parametrize(
    ("form", "noisy"),
    [
        *(("pixel", [1, 1, 1]), ("channel", [1, 1, 1]), ("fixed", [1, 1, 1])),
        *(("coarse", [1, 0, 0]), ("fine", [0, 0, 1]), (None, [0, 0, 0])),
    ],
)
def test_noise_enters_after_the_stages_of_its_form(form: str | None, noisy: list[int]) -> None:
    found = scales(form)
    assert [int(scale.detach().abs().sum() > 0) for scale in found] == noisy
    learned = [int(scale.requires_grad) for scale in found]
    assert learned == ([0, 0, 0] if form == "fixed" else noisy)


@pytest.mark.parametrize("form", FORMS)
def test_part_of_a_batch_gets_the_noise_that_it_has_in_the_whole(form: str) -> None:
    layer = NoiseInjection(4, FORMS[form])
    whole = layer(FEATURES, stream(0, "a"))
    some = layer(FEATURES[1:], NoiseOfSome(stream(0, "a"), range(1, 3), 3))
    assert torch.equal(whole[1:], some)
    assert float(draw(stream(0, "a"), 10_000, 1).std()) == pytest.approx(1, abs=0.03)
