"""Explorer and sample browser in Chromium, with the network off: part of `make test-book`."""

from __future__ import annotations

import pytest
from test_book_in_a_browser import PHONE, browser, visit  # noqa: F401  (fixtures)

pytestmark = pytest.mark.browser
PAIR = "#dpgen-browser figure"


def _slide(page, name: str, value: float) -> None:
    page.locator(f"#dpgen-explorer [name={name}]").evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def test_the_markers_follow_the_sliders(visit) -> None:  # noqa: F811
    page = visit("book/explorer.html")

    def places() -> list[tuple[float, float]]:
        found = page.locator("#dpgen-explorer circle").all()
        return [(float(c.get_attribute("cx")), float(c.get_attribute("cy"))) for c in found]

    before = places()
    assert len(before) == 2
    _slide(page, "rounds", 4.0)
    after = places()
    assert after[0][0] > before[0][0] and after[0][1] < before[0][1]  # more rounds, more noise
    assert after[1][1] == pytest.approx(before[1][1], abs=0.1)  # at the same budget
    label = page.locator("[data-curve=noise]").get_attribute("aria-label")
    noise = page.locator("[data-result]").get_attribute("data-noise")
    assert label.startswith("Noise multiplier against rounds: 10000 rounds need")
    assert f"{float(noise):.3g}"[:4] in label
    _slide(page, "epsilon", -1)
    _slide(page, "rounds", 5)
    _slide(page, "rate", 9)
    assert places() == [] and "more noise than the table" in page.locator(
        "[data-curve=noise]"
    ).get_attribute("aria-label")
    assert not page.problems


def test_pictures_are_of_the_settings_or_there_are_none(visit) -> None:  # noqa: F811
    page = visit("book/explorer.html")
    figure = page.locator("[data-pictures]")
    assert figure.is_visible()
    _slide(page, "shards", 4.0)
    assert not figure.is_visible() and page.locator("[data-no-pictures]").is_visible()
    page.locator("[data-recorded]").press("Enter")  # by keyboard
    assert figure.is_visible() and not page.locator("[data-no-pictures]").is_visible()
    caption = figure.locator("figcaption").inner_text()
    shown = page.locator("[data-result]").evaluate("e => ({...e.dataset})")
    planned = float(caption.split(" T ")[1].split(",")[0])
    assert planned == pytest.approx(float(shown["rounds"]), rel=0.02)  # a slider's step
    assert f"q {shown['rate']}," in caption


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_pair_at_equal_epsilon_comes_first(visit, scheme: str) -> None:  # noqa: F811
    page = visit("book/browser.html", scheme=scheme, viewport={"width": 1280, "height": 1000})
    left, right = page.locator(PAIR).all()
    names = [panel.locator("[name=epsilon]").input_value() for panel in (left, right)]
    methods = [panel.locator("[name=method]").input_value() for panel in (left, right)]
    assert names[0] == names[1] and methods[0] != methods[1]
    one, two = left.bounding_box(), right.bounding_box()
    assert abs(one["y"] - two["y"]) < 2 and two["x"] > one["x"] + one["width"]
    for panel in (left, right):
        alt = panel.locator("img").get_attribute("alt")
        assert "on MNIST at epsilon 10" in alt and alt.endswith(".")
        assert panel.locator("img").evaluate("i => i.naturalWidth") > 0
        titles = panel.locator("dt").all_inner_texts()
        assert len(titles) == 4 and "recall" in titles and "Frechet distance" in titles


def test_menus_offer_only_what_exists(visit) -> None:  # noqa: F811
    page = visit("book/browser.html")
    panel = page.locator(PAIR).first
    for dataset in panel.locator("[name=dataset] option").all_inner_texts():
        panel.locator("[name=dataset]").select_option(dataset)
        for method in panel.locator("[name=method] option").all_inner_texts()[:3]:
            panel.locator("[name=method]").select_option(method)
            image = panel.locator("img")
            image.evaluate("i => i.decode()")
            alt = image.get_attribute("alt")
            assert f"{method} on {dataset} " in alt
    assert not page.problems


def test_panels_are_stacked_on_a_phone(visit) -> None:  # noqa: F811
    page = visit("book/browser.html", viewport=PHONE)
    one, two = (panel.bounding_box() for panel in page.locator(PAIR).all())
    assert two["y"] >= one["y"] + one["height"] and one["width"] <= PHONE["width"]


def test_pictures_load_when_they_are_chosen(visit) -> None:  # noqa: F811
    page = visit("book/browser.html")
    loaded = page.evaluate(
        "() => performance.getEntriesByType('resource').filter(r => r.name.endsWith('.webp')).length"
    )
    images = page.evaluate("() => document.querySelectorAll('#dpgen-browser img').length")
    assert images == 2 and loaded <= 2
