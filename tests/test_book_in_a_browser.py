"""The built book in a real browser, with the network off: `make test-book` after `make book`.

Left out of `make test` (marker ``browser``). Skipped, with the reason, where there is no Chromium or no
built book.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpgen_core.accounting import epsilon_spent

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[1]
BUILT = ROOT / "_build" / "html"
PAGES = sorted(str(path.relative_to(BUILT)) for path in BUILT.glob("book/**/*.html"))
PHONE = {"width": 390, "height": 844}
# value of each control: epsilon, delta and rounds as powers of ten, the rate as its place in the list
SETTINGS = [
    (1.0, -5, 6, 2.48),
    (0.0, -5, 6, 2.48),
    (1.0, -5, 0, 4.3),
    (0.48, -6, 5, 3.0),
    (-0.3, -8, 4, 2.0),
    (1.3, -5, 8, 1.3),
    (0.7, -4, 9, 0.0),
    (0.3, -7, 3, 3.7),
    (1.0, -10, 7, 2.7),
    (0.9, -5, 1, 5.0),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Debian's Chromium, or the one `$CHROMIUM` names."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: install it, or name it in $CHROMIUM")
    if not PAGES:
        pytest.skip("no built book: run `make book` first")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser):
    """Open a page of the book offline; what went wrong is collected in ``page.problems``."""
    contexts = []

    def opened(name: str, *, query: str = "", scheme: str = "light", **options: object):
        context = browser.new_context(offline=True, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(f"error: {error}"))
        page.on("requestfailed", lambda request: page.problems.append(f"failed: {request.url}"))
        page.on(
            "console",
            lambda line: page.problems.append(line.text) if line.type == "error" else None,
        )
        page.goto((BUILT / name).as_uri() + query)
        page.wait_for_load_state("load")
        page.evaluate("() => window.MathJax?.startup?.promise")
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES or ["no built book"])
def test_a_page_is_whole_without_a_network(visit, name: str) -> None:
    page = visit(name)
    for image in page.locator("article img").all():
        image.scroll_into_view_if_needed() if image.is_visible() else None
    broken = page.evaluate(
        "() => [...document.images].filter(i => i.getAttribute('src') && !(i.complete && i.naturalWidth))"
        ".map(i => i.src)"
    )
    assert not broken, f"missing images: {broken}"
    formulas = page.evaluate(
        "() => [...document.querySelectorAll('article .math')]"
        ".filter(m => !m.querySelector('mjx-container')).map(m => m.textContent)"
    )
    assert not formulas, f"formulas not set: {formulas[:3]}"
    raw = page.evaluate(
        "() => [...document.querySelectorAll('article p')].map(p => p.textContent.trim())"
        ".filter(text => text.startsWith('| ') && text.endsWith(' |'))"
    )
    assert not raw, f"tables left as text: {raw[:3]}"
    assert not page.problems


@pytest.mark.parametrize("name", PAGES or ["no built book"])
def test_no_page_scrolls_sideways_on_a_phone(visit, name: str) -> None:
    page = visit(name, viewport=PHONE)
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    culprits = page.evaluate(
        "() => [...document.querySelectorAll('article *')]"
        ".filter(e => e.getBoundingClientRect().right > 391).slice(0, 5).map(e => e.outerHTML.slice(0, 90))"
    )
    assert wide <= PHONE["width"], culprits


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES or ["no built book"])
def test_axe_finds_nothing_serious(visit, name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core").Axe()
    found = axe.run(visit(name, scheme=scheme)).response["violations"]
    serious = [
        f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:120]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert not serious


def test_search_finds_renyi(visit) -> None:
    page = visit("search.html", query="?q=Renyi")
    page.wait_for_selector("ul.search li a", timeout=15_000)
    links = page.locator("ul.search li a").evaluate_all("links => links.map(a => a.href)")
    assert any("accounting" in link or "privacy" in link for link in links)


@pytest.mark.parametrize("setting", SETTINGS)
def test_explorer_agrees_with_the_accountant(visit, setting: tuple[float, ...]) -> None:
    page = visit("book/explorer.html")
    for name, value in zip(("epsilon", "delta", "rate", "rounds"), setting, strict=True):
        page.locator(f"#dpgen-explorer [name={name}]").evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }",
            value,
        )
    shown = page.locator("#dpgen-explorer [data-result]").evaluate("e => ({...e.dataset})")
    spent = epsilon_spent(
        noise_multiplier=float(shown["noise"]),
        sampling_rate=float(shown["rate"]),
        rounds=int(shown["rounds"]),
        delta=float(shown["delta"]),
    )
    assert spent == pytest.approx(float(shown["epsilon"]), rel=0.01)


def test_explorer_and_browser_show_the_records(visit) -> None:
    page = visit("book/explorer.html")
    assert page.locator("#dpgen-explorer figure img").evaluate("i => i.naturalWidth") > 0
    page = visit("book/browser.html")
    page.locator("#dpgen-browser [value=rounds]").check()
    for figure in page.locator("#dpgen-browser figure").all():
        image = figure.locator("img")
        assert "rounds" in figure.inner_text() or image.evaluate("i => i.naturalWidth") > 0
    assert not page.problems
