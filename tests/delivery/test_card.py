"""The data card says what was done to the images, from public facts alone."""

from __future__ import annotations

import pytest

from dpgen_core.config.make import make_config
from dpgen_core.delivery.card import data_card

PRIVACY = {"epsilon": {"pld": 3.0}, "delta": 1e-5, "unit": "one image"}


def card(method: str) -> str:
    config = make_config(dataset="glyphs", method=method, num_records=1200)
    names = [str(digit) for digit in range(10)]
    return data_card(config, PRIVACY, names, [10] * 10)


@pytest.mark.parametrize(("method", "noisy"), [("mixture", False), ("mixture/with-grain", True)])
def test_noise_on_finished_images_is_named(method: str, noisy: bool) -> None:
    text = card(method)
    assert ("Noise was added to the finished images (grain)" in text) == noisy
    assert text.startswith("---\npretty_name: ") and "| 9 | 9 | 10 |" in text
    assert "\n\n\n" not in text and "temperature" not in text


def test_a_temperature_is_named() -> None:
    text = card("mixture/with-frame-and-grain")
    assert "drawn at temperature 1.5, so they differ more" in text and "(grain)" in text
    assert "\n\n\n" not in text
