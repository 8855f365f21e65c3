"""The built book in a real browser, with the network off: `make test-book` after `make book`.

Left out of `make test` (marker ``browser``). Skipped, with the reason, where there is no Chromium or no
built book.
"""

from __future__ import annotations

import os
import re
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
PAPER = {"width": 680, "height": 980}  # A4 without its margins, at 96 dots an inch
DESK = {"width": 1280, "height": 800}
# The introduction's questions: words of the link, and the element that answers.
ANSWERS = {
    "Does error feedback help?": "#answer-error-feedback",
    "Does the reconstruction loss?": "#answer-reconstruction-loss",
    "Does noise injection?": "#answer-noise-injection",
    "What exactly is guaranteed?": ".admonition.important",
    "What is the best accuracy at epsilon 1?": "#answer-best-at-one",
}
PAGE_BYTES, SITE_BYTES = 2_000_000, 30_000_000
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


def cut_without_a_sign(page) -> list[str]:
    """Tables wider than their box, folded ones too, above which nothing says so."""
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.wait_for_timeout(100)  # the observer of sizes
    return page.evaluate(
        """() => [...document.querySelectorAll('article table')].filter(t => {
            const hint = t.previousElementSibling;
            const said = hint?.classList.contains('dpgen-wide-hint') && hint.offsetHeight > 0;
            const edge = t.parentElement.getBoundingClientRect().right;
            const cut = t.scrollWidth > t.clientWidth + 1 || t.getBoundingClientRect().right > edge + 1;
            return cut && !said;
        }).map(t => t.textContent.trim().slice(0, 60))"""
    )


def without_a_sentence(page) -> list[str]:
    """Alternative texts of pictures that do not say what is seen."""
    texts = page.evaluate(
        "() => [...document.querySelectorAll('article img')].map(i => i.alt ?? '')"
    )
    return [t for t in texts if len(t.split()) < 4 or re.search(r"\.(png|svg)\b", t)]


@pytest.mark.parametrize("name", PAGES or ["no built book"])
def test_a_page_is_whole_without_a_network(visit, name: str) -> None:
    page = visit(name)
    broken = page.evaluate(
        """async () => {
            const shown = [...document.images].filter(i => i.getAttribute('src'));
            shown.forEach(i => { i.loading = 'eager'; });  // also those below the fold and folded
            await Promise.allSettled(shown.map(i => i.decode()));
            return shown.filter(i => !i.naturalWidth).map(i => i.src);
        }"""
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
    assert not without_a_sentence(page)
    assert not cut_without_a_sign(page)
    assert not page.problems


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("question", ANSWERS)
def test_a_question_is_answered_within_one_click(visit, question: str, viewport: dict) -> None:
    page = visit("book/intro.html", viewport=viewport)
    page.locator("article").get_by_role("link", name=question, exact=True).click()
    page.wait_for_load_state("load")
    page.wait_for_timeout(300)  # the jump to the anchor
    answer = page.locator(ANSWERS[question]).first
    box, words = answer.evaluate(
        """e => {  // the anchor of a paragraph may be an empty element before it
            const shown = e.textContent.trim() ? e : e.nextElementSibling ?? e.closest('p');
            const box = shown.getBoundingClientRect();
            return [[box.top, box.bottom], shown.textContent];
        }"""
    )
    assert len(words.split()) >= 12, "no answer"
    assert box[0] >= 0 and box[1] <= viewport["height"], f"out of view: {box}"


def test_the_first_figure_is_on_the_first_screen(visit) -> None:
    page = visit("book/intro.html", viewport=DESK)
    tops = page.locator(".dpgen-overview img").evaluate_all(
        "images => images.map(i => i.getBoundingClientRect().bottom)"
    )
    assert len(tops) >= 6 and max(tops) <= DESK["height"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light(name: str) -> None:
    """Its HTML, and all pictures and scripts that it and no other page loads."""
    text = (BUILT / name).read_text()
    folder = (BUILT / name).parent
    named = {folder / link.split("?")[0] for link in re.findall(r'src="([^":]+)"', text)}
    shared = {path for path in named if re.search("_static/scripts|mathjax|searchindex", str(path))}
    sizes = {path.name: path.stat().st_size for path in named - shared if path.is_file()}
    heavy = sorted(sizes, key=lambda key: -sizes[key])[:3]
    total = len(text.encode()) + sum(sizes.values())
    assert total < PAGE_BYTES, f"{total:,} bytes, most of it in {heavy}"


def test_the_site_is_light() -> None:
    if not PAGES:
        pytest.skip("no built book: run `make book` first")
    total = sum(path.stat().st_size for path in BUILT.rglob("*") if path.is_file())
    assert total < SITE_BYTES, f"{total:,} bytes"


@pytest.mark.parametrize("name", PAGES or ["no built book"])
def test_no_page_scrolls_sideways_on_a_phone(visit, name: str) -> None:
    page = visit(name, viewport=PHONE)
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    culprits = page.evaluate(
        "() => [...document.querySelectorAll('article *')]"
        ".filter(e => e.getBoundingClientRect().right > 391).slice(0, 5).map(e => e.outerHTML.slice(0, 90))"
    )
    assert wide <= PHONE["width"], culprits
    assert not cut_without_a_sign(page)


@pytest.mark.parametrize("name", PAGES or ["no built book"])
def test_nothing_is_cut_off_in_print(visit, name: str) -> None:
    page = visit(name, viewport=PAPER)
    page.emulate_media(media="print")
    page.wait_for_timeout(300)  # formulas are set anew
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PAPER["width"]


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
