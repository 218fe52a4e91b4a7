"""The page at every width: no error, no overflow, no layout shift, accessible, and working offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from .conftest import Host, Visit

WIDTHS = (320, 400, 900, 1600)
MOST_SENT, MOST_FIRST = 9_000_000, 30_000  # bytes in all, and before the first exact number
LARGEST_SHIFT = 0.02  # a rounded pixel of a line that wraps
SHIFTS = """() => new Promise(done => {
    let sum = 0;
    new PerformanceObserver(list => list.getEntries().forEach(each => { if (!each.hadRecentInput) sum += each.value; }))
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(sum), 200);
})"""
OVERFLOW = """() => [...document.querySelectorAll("body *")]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1 && each.checkVisibility())
    .filter(each => { for (let at = each.parentElement; at; at = at.parentElement)
        if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(at).overflowX)) return false; return true; })
    .map(each => each.tagName + "#" + each.id + " " + each.textContent.slice(0, 40))"""
FIRST_NUMBER = """new MutationObserver((_, observer) => {
    if (!document.querySelector("[data-form][data-value]")) return;
    observer.disconnect();
    const now = performance.now(), files = performance.getEntriesByType("resource");
    window.sentBeforeNumber = [performance.getEntriesByType("navigation")[0], ...files]
        .filter(each => each.responseEnd && each.responseEnd <= now).reduce((sum, each) => sum + each.transferSize, 0);
}).observe(document, {subtree: true, childList: true, attributes: true});"""
STATES = (
    "", "model=deepseek-v3&gpu=h100&count=16&context=32768&users=64", "model=bert&gpu=t4", "model=mamba2-2.7b",
    "model=llama3-70b", "task=train&model=llama3.1-8b&n=8&context=4096",
)  # fmt: skip


@pytest.fixture
def visit(browser: Browser, host: Host) -> Iterator[Callable[..., Visit]]:
    """Open visits, and close them without a problem."""
    made: list[Visit] = []

    def start(**settings: Any) -> Visit:
        made.append(Visit(browser, host, **settings))
        return made[-1]

    yield start
    for each in made:
        each.close()
        assert not each.problems


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_or_moves(width: int, visit: Callable[..., Visit]) -> None:
    found, before = visit(viewport={"width": width, "height": 800}), 0.0
    for state in STATES:
        page = found.open(state)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state
        assert page.evaluate(OVERFLOW) == [], state
        shifts = page.evaluate(SHIFTS)  # since the page was loaded
        assert shifts - before <= LARGEST_SHIFT, state
        before = shifts


@pytest.mark.parametrize(
    ("width", "scheme", "state"), [(320, "light", 1), (1600, "dark", 1), (320, "dark", -1), (900, "light", -1)]
)
def test_axe_finds_nothing(width: int, scheme: str, state: int, visit: Callable[..., Visit], axe: str) -> None:
    found = visit(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page = found.open(STATES[state])
    for opened in (False, True):
        if opened:
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            found.wait()
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {iframes: false})")
        told = {each["id"]: [node["html"][:120] for node in each["nodes"][:3]] for each in result["violations"]}
        assert told == {}


def test_the_first_number_needs_little(visit: Callable[..., Visit], host: Host) -> None:
    found = visit()
    found.context.add_init_script(FIRST_NUMBER)
    page = found.open(with_python=False)
    found.until("window.sentBeforeNumber !== undefined")
    assert 0 < page.evaluate("window.sentBeforeNumber") <= MOST_FIRST
    found.wait()


def test_offline_after_the_first_load(visit: Callable[..., Visit], host: Host) -> None:
    found = visit()
    page = found.open("model=llama3-8b")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    found.until("document.documentElement.dataset.cached === 'true'")
    total = sum(size for _, size in host.sent)
    assert total <= MOST_SENT
    verdict = page.locator("#verdict").text_content()
    host.sent.clear()
    found.context.set_offline(True)
    page.reload()
    found.wait()
    assert page.locator("#verdict").text_content() == verdict
    assert host.sent == []


def test_a_link_is_a_result(visit: Callable[..., Visit]) -> None:
    start = visit()
    first = start.open("model=llama3-8b&gpu=h100&context=8192")
    first.locator("#context").focus()
    first.keyboard.press("ArrowRight")
    start.wait()
    fragment = first.evaluate("location.hash").removeprefix("#")
    second = visit().open(fragment)
    assert second.locator("#verdict").text_content() == first.locator("#verdict").text_content()
    for name in ("model", "gpu", "count", "weights", "context", "users"):
        values = [page.locator(f"#{name}").input_value() for page in (first, second)]
        assert values[0] == values[1], name


def test_other_spellings_of_a_link_and_unknown_settings(visit: Callable[..., Visit]) -> None:
    page = visit().open("model=llama3-8b&gpu=H100:2&count=3&constructor=5&foo=7")
    assert page.locator("#gpu").get_attribute("data-name") == "h100-sxm"
    assert page.locator("#gpu").input_value() == "NVIDIA H100 SXM5 80GB"
    assert page.locator("#count-text").input_value() == "6"
    notes = page.locator("#notes").inner_text()
    assert "nknown setting in the link: constructor" in notes
    assert "nknown setting in the link: foo" in notes
