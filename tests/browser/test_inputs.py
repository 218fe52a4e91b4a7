"""Own configs, typed values and links: mistakes are stated where they were made, and leave the answer as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from .configs import config
from .conftest import Host, Visit


@pytest.fixture(scope="module")
def visit(browser: Browser, site: Path) -> Iterator[Visit]:
    host = Host(site)
    found = Visit(browser, host, viewport={"width": 400, "height": 800})
    found.open()
    yield found
    found.close()
    host.close()
    assert not found.problems


def test_an_invalid_config_leaves_the_dialog_and_the_answer(visit: Visit) -> None:
    page = visit.open("model=llama3-8b")
    before = page.locator("#sentence").inner_text()
    page.locator("#own").click()
    page.locator("#paste").fill('{"model_type": ')
    page.locator("#use").click()
    visit.until("document.querySelector('#own-dialog [role=alert]').textContent.includes('nvalid')")
    alert = page.locator("#own-dialog [role=alert]").inner_text()
    assert "config.json" in alert
    assert "/files/" not in alert
    assert page.locator("#own-dialog").evaluate("each => each.open")
    page.keyboard.press("Escape")
    assert page.locator("#sentence").inner_text() == before


def test_an_own_config_is_named_as_its_file(visit: Visit) -> None:
    page = visit.open("model=llama3-8b")
    page.locator("#own").click()
    page.locator("#paste").fill(json.dumps(config("llama")))
    page.locator("#use").click()
    visit.until("document.querySelector('#sentence').textContent.includes('config.json')")
    visit.wait()
    for line in page.locator("#commands code").all_inner_texts():
        assert " config.json " in line
        page.locator("#line").fill(line)
        page.locator("#line").press("Escape")
        page.locator("#line").press("Enter")
        visit.until("document.querySelector('.line-status').textContent.startsWith('Done')")


def test_invalid_values_are_stated(visit: Visit) -> None:
    page = visit.open("model=llama3-8b&n=0&users=many&line=params%20gpt2")
    notes = page.locator("#notes").inner_text()
    assert "nvalid value in the link: n=0" in notes
    assert "nvalid value in the link: users=many" in notes
    box = page.locator("#users-text")
    box.fill("abc")
    box.press("Tab")
    assert "number" in box.evaluate("each => each.validationMessage")
    page.locator("#context").focus()
    page.keyboard.press("ArrowLeft")
    visit.wait()
    assert "line=" not in page.evaluate("location.hash")


def test_gpus_are_found_by_any_part_of_their_names(visit: Visit) -> None:
    page = visit.open("model=llama3-8b")
    for typed, name in (("mi300", "mi300x"), ("4090", "rtx-4090")):
        page.locator("#gpu").click()
        page.locator("#gpu").fill(typed)
        page.keyboard.press("Enter")
        visit.wait()
        assert page.locator("#gpu").get_attribute("data-name") == name
        assert f"gpu={name}" in page.evaluate("location.hash")
    page.locator("#model").fill("no such model at all")
    page.locator("#model").fill("qqqqq")
    assert "Nothing matches" in page.locator("#models").inner_text()
    page.keyboard.press("Escape")


def test_the_list_offers_the_closest_models(visit: Visit) -> None:
    page = visit.open("model=llama3-8b")
    page.locator("#model").click()
    page.locator("#model").fill("deepsek v3")
    page.locator("#model").fill("deepsek")
    assert page.locator("#models li").count() > 0
    assert "DeepSeek" in page.locator("#models li").first.inner_text()
    page.keyboard.press("Escape")
