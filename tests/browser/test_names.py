"""The pickers of the page choose what is pressed or named, by the rule of the command line, and nothing else."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from llmcalc import load
from llmcalc.web.answers.case import titled

from .conftest import Host, Visit

FILE = Path(__file__).parent.parent / "inputs" / "repositories.csv"
with FILE.open(encoding="utf-8", newline="") as stream:
    next(stream)
    REPOSITORIES = list(csv.DictReader(stream))
CHOSEN = {  # what is typed: the model
    "openai/gpt-oss-120b": "gpt-oss-120b", "google/gemma-3-27b-it": "gemma3-27b", "qwen3-235b": "qwen3-moe-235b-a22b",
    "mlx-community/Qwen3-8B-4bit": "qwen3-8b", "nvidia/Llama-3.3-70B-Instruct-FP4": "llama3.3-70b",
    "gpt2 xl": "gpt2-xl",
}  # fmt: skip
REFUSED = {
    "foo/gpt-oss-120b-x": "nknown model", "deepseek-ai/DeepSeek-V4.1-Flash": "nknown model", "qwen3-23": "nknown model",
    "gemma2-2": "use one of gemma2-2b, gemma2-27b", "llama 8b": "nknown model",
}  # fmt: skip
FIND = """async (texts) => { const { find } = await import('./names.js');
    return Promise.all(texts.map((each) => find('model', each))); }"""
TARGETS = """() => { window.pressed = []; for (const kind of ['click', 'mousedown']) addEventListener(kind,
    ({ target }) => window.pressed.push([kind, target.closest('li, button, a, input, summary')?.id ?? '']), true); }"""


@pytest.fixture(scope="module")
def visit(browser: Browser, site: Path) -> Iterator[Visit]:
    """A page on a computer, for all tests of this module."""
    host = Host(site)
    found = Visit(browser, host)
    yield found
    found.close()
    host.close()
    assert not found.problems


@pytest.fixture
def phone(browser: Browser, site: Path) -> Iterator[Visit]:
    """A page on a phone."""
    host = Host(site)
    found = Visit(browser, host, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    yield found
    found.close()
    host.close()
    assert not found.problems


def enter(visit: Visit, text: str, field: str = "#model") -> None:
    visit.page.locator(field).click()
    visit.page.locator(field).fill(text)
    visit.page.keyboard.press("Enter")


def test_names_are_loaded_at_the_first_focus(visit: Visit) -> None:
    page = visit.open("model=llama3-8b")
    loaded = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('names.json')).length"
    assert page.evaluate(loaded) == 0
    for field in ("#gpu", "#model"):
        page.locator(field).focus()
        visit.until(f"{loaded} === 1")


def test_a_name_that_is_pasted_is_its_own_model_or_none(visit: Visit) -> None:
    page = visit.open("model=llama3-8b")
    for text, name in CHOSEN.items():
        enter(visit, text)
        title = titled(load(name))
        visit.until(f"document.querySelector('#model').value === {title!r}")
        visit.wait()
    before = page.evaluate("location.hash")
    for text, message in REFUSED.items():
        enter(visit, text)
        visit.until("document.querySelector('#model').validationMessage !== ''")
        assert message in page.locator("#models li").first.inner_text()
        page.keyboard.press("Escape")
        page.locator("#gpu").focus()
        assert page.evaluate("location.hash") == before
    assert page.locator("#model").input_value() == title


def test_every_repository_is_a_name_on_the_page_if_it_is_one_elsewhere(visit: Visit) -> None:
    found = visit.open("model=llama3-8b").evaluate(FIND, [row["repository"] for row in REPOSITORIES])
    for row, answer in zip(REPOSITORIES, found, strict=True):
        assert answer.get("name") == (row["repository"] if row["model"] else None), answer


def test_gpus_are_named_as_on_the_command_line(visit: Visit) -> None:
    page = visit.open("model=llama3-8b")
    for text, name, number in (("a100-80", "a100-sxm-80gb", 1), ("8xh100", "h100-sxm", 8), ("H200", "h200", 8)):
        enter(visit, text, "#gpu")
        visit.until(f"document.querySelector('#gpu').dataset.name === {name!r}")
        assert page.locator("#count-text").input_value() == str(number)
    enter(visit, "a100", "#gpu")
    visit.until("document.querySelector('#gpu').validationMessage !== ''")
    assert "a100-pcie-40gb" in page.locator("#gpus li").first.inner_text()
    assert "gpu=h200" in page.evaluate("location.hash")


def test_a_tap_presses_only_the_option(phone: Visit) -> None:
    page = phone.open("model=llama3-8b")
    page.evaluate(TARGETS)
    page.locator("#model").tap()
    page.locator("#model").fill("mixtral")
    option = page.locator("#models li").first
    own = option.get_attribute("id")
    option.tap()
    phone.until("location.hash.includes('mixtral')")
    page.wait_for_timeout(400)
    pressed = page.evaluate("window.pressed")
    assert [name for kind, name in pressed if kind == "click"] == ["model", own]
    assert pressed[-1] == ["click", own]
    assert not page.locator("#models").is_visible()


def test_a_swipe_scrolls_the_list_and_picks_nothing(phone: Visit) -> None:
    page = phone.open("model=llama3-8b")
    before = page.evaluate("location.hash")
    page.locator("#model").tap()
    box = page.locator("#models").bounding_box()
    assert box
    x, y = box["x"] + 60, box["y"] + min(box["height"], 240) - 20
    session = phone.context.new_cdp_session(page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 9):
        point = {"x": x, "y": y - 20 * step}
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(500)
    assert page.evaluate("location.hash") == before
    assert page.locator("#models").is_visible()
    assert page.evaluate("document.querySelector('#models').scrollTop") > 0


def test_a_tap_takes_a_completion_of_the_command_line(phone: Visit) -> None:
    page = phone.open("model=llama3-8b")
    page.locator("#line").tap()
    page.locator("#line").press_sequentially("para")
    page.locator("#line-list li").first.tap()
    phone.until("document.querySelector('#line').value.startsWith('params ')")
    assert page.evaluate("document.activeElement.id") == "line"
