"""What is pasted, dropped or linked never becomes markup or script, and cannot write a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from .configs import config
from .conftest import Host, Visit

EVIL = (
    "<script>window.evil=1</script>",
    "<img src=x onerror=window.evil=1>",
    "\"><svg onload=window.evil=1>",
    "'-window.evil=1-'",
    "</textarea><script>window.evil=1</script>",
    "</style><script>window.evil=1</script>",
    "]]><script>window.evil=1</script>",
    "javascript:window.evil=1",
    "{{constructor.constructor('window.evil=1')()}}",
    "__proto__",
    "\u202e\u0000\ud800",
)  # fmt: skip
HANDLERS = """[...document.querySelectorAll("*")].flatMap(each => each.getAttributeNames())
    .filter(name => name.startsWith("on"))[0]"""
FIELDS = ("model", "gpu", "count", "weights", "context", "users", "compare", "line", "unknown")


@pytest.fixture(scope="module")
def visit(browser: Browser, site: Path) -> Iterator[Visit]:
    host = Host(site)
    found = Visit(browser, host)
    found.open()
    yield found
    found.close()
    host.close()
    assert not found.problems


def check(page: Page) -> None:
    page.wait_for_timeout(50)
    assert page.evaluate("window.evil") is None
    assert page.locator("script:not([src])").count() == 0
    assert not page.evaluate(HANDLERS)
    for frame in page.frames:
        assert frame.evaluate("window.evil") is None


@pytest.mark.parametrize("text", EVIL)
def test_a_link_with_markup(visit: Visit, text: str) -> None:
    for field in FIELDS:
        visit.open(f"{field}={quote(text, errors='surrogatepass')}")
        check(visit.page)


@pytest.mark.parametrize("text", EVIL)
def test_a_pasted_config_with_markup(visit: Visit, text: str) -> None:
    own = {**config("llama"), "_name_or_path": text, text: text, "hidden_act": text}
    plain = {**config("llama"), "_name_or_path": text}
    for content in (json.dumps(own), json.dumps(plain), text, f"name: {json.dumps(text)}\ntitle: {json.dumps(text)}\n"):
        visit.open()
        visit.page.locator("#own").click()
        visit.page.locator("#paste").fill(content)
        visit.page.locator("#use").click()
        visit.page.wait_for_timeout(100)
        visit.wait()
        visit.page.keyboard.press("Escape")
        check(visit.page)


@pytest.mark.parametrize("text", EVIL)
def test_a_command_with_markup(visit: Visit, text: str) -> None:
    visit.open()
    for line in (text, f"params {text!r}", f"params gpt2 --set {text!r}=1", f"explain gpt2 {text!r}"):
        visit.page.locator("#line").fill(line)
        visit.page.locator("#line").press("Enter")
        visit.wait()
        check(visit.page)


@pytest.mark.parametrize(
    "line",
    [
        "report gpt2 -o x.html",
        "import gpt2 -o x.yaml",
        "verify gpt2",
        "web",
        "calibrate /etc/passwd",
        "schema preset -o /x",
    ],
)
def test_a_command_writes_nothing(visit: Visit, line: str) -> None:
    """A link only shows a command. The worker refuses the command if it is run."""
    visit.open(f"line={quote(line)}")
    check(visit.page)
    ask = "async line => (await import(new URL('python.js', document.baseURI))).ask({kind: 'run', line})"
    assert visit.page.evaluate(ask, line)["code"] == 2
