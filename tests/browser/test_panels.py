"""What the page shows beside the verdict: no empty places, explained numbers, and results that fit a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from llmcalc.core.evidence import CLASSES

from .conftest import Host, Visit

PHONE = 320
EMPTY_FACTS = (
    "[...document.querySelectorAll('.fact strong')].filter(each => ['–', ''].includes(each.textContent.trim())).length"
)
CUT = """[...document.querySelectorAll("h2, h3, p, .facts td")]
    .filter(each => each.getBoundingClientRect().right > innerWidth).map(each => each.textContent)"""
LINES = (
    "serve llama3.1-8b --gpu h100 --isl 8000 --osl 512 --concurrency 16", "fit llama3-70b --gpu h100:4 --batch 16",
    "train llama3-8b --gpu h100:64 --tokens 1T",
)  # fmt: skip


@pytest.fixture(scope="module")
def visit(browser: Browser, site: Path) -> Iterator[Visit]:
    host = Host(site)
    found = Visit(browser, host, viewport={"width": PHONE, "height": 800})
    found.open()
    yield found
    found.close()
    host.close()
    assert not found.problems


@pytest.mark.parametrize("line", LINES)
def test_a_result_is_not_cut_on_a_phone(visit: Visit, line: str) -> None:
    page = visit.page
    page.locator("#line").fill(line)
    page.locator("#line").press("Escape")
    page.locator("#line").press("Enter")
    title = f"Result of {line}"
    visit.until(f"document.querySelector('#result')?.title === {title!r}")
    visit.until("document.querySelector('#result').contentDocument.readyState === 'complete'")
    page.wait_for_timeout(300)
    frame = page.locator("#result").element_handle().content_frame()
    assert frame is not None
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert frame.evaluate(CUT) == []
    height = page.evaluate("document.querySelector('#result').clientHeight")
    assert frame.evaluate("document.body.scrollHeight") <= height + 2
    page.set_viewport_size({"width": 2 * PHONE, "height": 800})
    page.wait_for_timeout(300)
    assert page.evaluate("document.querySelector('#result').clientHeight") < height
    page.set_viewport_size({"width": PHONE, "height": 800})


@pytest.mark.parametrize("state", ["model=bert&gpu=l4", "model=llama3-70b&gpu=h100", "model=mamba2-2.7b&gpu=a100-80gb"])
def test_no_place_is_empty(visit: Visit, state: str) -> None:
    page, is_encoder = visit.open(state), "bert" in state
    assert page.evaluate(EMPTY_FACTS) == 0
    for name in ("osl", "kv"):
        assert page.locator(f"#{name}").is_visible() != is_encoder
    assert page.locator("label[for=users]").inner_text() == ("Texts at once" if is_encoder else "Users at once")
    assert page.locator("#charts").locator("visible=true").filter(has_text="generates no tokens").count() == 0


def test_the_classes_of_evidence_open_without_a_mouse(visit: Visit) -> None:
    page = visit.open("model=llama3-8b")
    meanings = page.locator("#classes dl")
    assert not meanings.is_visible()
    page.locator("#classes summary").focus()
    page.keyboard.press("Enter")
    shown = {text.strip() for text in page.locator("#classes dt").all_inner_texts()}
    assert shown == {text.removeprefix(" · ") for text in page.locator(".fact em").all_inner_texts()}
    assert all(CLASSES[name] in meanings.inner_text() for name in shown)


def test_an_error_shows_no_numbers_of_another_state(visit: Visit) -> None:
    visit.open("model=llama3-8b")
    page = visit.open("model=nosuchmodel&foo=3")
    assert page.locator("#model").input_value() == "nosuchmodel"
    assert "Choose a model" in page.locator("#sentence").inner_text()
    assert "nknown setting in the link: foo" in page.locator("#notes").inner_text()
    for name in ("facts", "bar", "charts", "blocks", "actions"):
        assert not page.locator(f"#{name}").is_visible(), name
    assert visit.open("model=llama3-8b&users=7").locator("#facts").is_visible()


def test_a_slider_does_not_wait_for_the_search_of_layouts(visit: Visit) -> None:
    page = visit.open("model=llama3-8b&gpu=h100&n=4")
    page.locator(".plot[data-name=front] button").click()
    visit.until("document.querySelector('.plot[data-name=front] .count')?.textContent")
    before = page.evaluate("performance.now()")
    ask = "async message => (await import(new URL('python.js', document.baseURI))).ask(message)"
    found = page.evaluate(ask, {"kind": "answers", "state": {"model": "llama3-8b", "users": 7, "panels": ["verdict"]}})
    assert found["panels"]["verdict"]["fits"]
    assert page.locator(".plot[data-name=front] .count").is_visible(), page.evaluate("performance.now()") - before
    page.locator("#users").focus()
    page.keyboard.press("ArrowRight")  # ends the search
    visit.wait()
    assert page.locator(".plot[data-name=front] button").inner_text() == "Search all layouts"
    page.locator(".plot[data-name=front] button").click()
    visit.until("document.querySelector('.plot[data-name=front] svg')")
    assert page.locator(".plot[data-name=front] .curve").count() > 1
