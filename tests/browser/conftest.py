"""A built page, a plain static host that counts what it sends, and headless Chromium."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from llmcalc.cli.main import main

AXE = "4.14.1"
AXE_SHA512 = (
    "1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b73"
    "4f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5"
)
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
LONG = 120_000  # milliseconds: no measure of speed, but more than a slow machine needs


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder for all processes of the test run."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


def once(folder: Path, make: Any) -> Path:
    """Make a folder in the first process that asks for it, and wait for it in the others."""
    import fcntl

    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make(folder)
    return folder


@pytest.fixture(scope="session")
def site(shared: Path) -> Path:
    """The page, built once from the installed package."""

    def build(folder: Path) -> None:
        given = os.environ.get("LLMCALC_PYODIDE")
        assert main(["web", "build", "-o", str(folder), *(["--pyodide", given] if given else [])]) == 0

    return once(shared / "site", build)


@pytest.fixture(scope="session")
def axe(shared: Path) -> str:
    """The script of axe, from npm at a pinned version with its hash."""

    def download(folder: Path) -> None:
        folder.mkdir()
        npm = shutil.which("npm")
        assert npm, "npm is not installed"
        subprocess.run([npm, "pack", "--silent", f"axe-core@{AXE}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        packed = folder / f"axe-core-{AXE}.tgz"
        assert hashlib.sha512(packed.read_bytes()).hexdigest() == AXE_SHA512
        with tarfile.open(packed) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            (folder / "axe.min.js").write_bytes(member.read())

    return (once(shared / "axe", download) / "axe.min.js").read_text("utf-8")


class Host:
    """A static host that compresses nothing, and the bytes of each file that it sent."""

    def __init__(self, folder: Path) -> None:
        self.sent: list[tuple[str, int]] = []
        handler = partial(_Handler, directory=str(folder), sent=self.sent)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop, so that the page is offline."""
        self.server.shutdown()
        self.server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, sent: list[tuple[str, int]], **settings: Any) -> None:
        self.sent = sent
        super().__init__(*args, **settings)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        self.sent.append((self.path, len(content)))
        outputfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host(site: Path) -> Iterator[Host]:
    """A host of the page."""
    found = Host(site)
    yield found
    found.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "Chromium is not installed"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


class Visit:
    """A page in a fresh profile. It fails on errors in the console and on requests to other hosts."""

    def __init__(self, browser: Browser, host: Host, **settings: Any) -> None:
        self.host = host
        self.context: BrowserContext = browser.new_context(**settings)
        self.context.set_default_timeout(LONG)
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("console", self._log)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("request", lambda request: self._request(request.url))

    def _log(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _request(self, url: str) -> None:
        if not url.startswith((self.host.url, "data:", "blob:")):
            self.problems.append(f"request: {url}")

    def open(self, fragment: str = "", *, with_python: bool = True) -> Page:
        """Open the page, and wait until Python answers if ``with_python``."""
        self.page.goto(f"{self.host.url}#{fragment}")
        if with_python:
            self.page.wait_for_timeout(100)  # a page that is already open reads its link in an event
            self.wait()
        return self.page

    def wait(self) -> None:
        """Wait until Python has answered all questions."""
        self.until("document.documentElement.dataset.state === 'ready'")

    def until(self, condition: str) -> None:
        """Wait for a condition. The page forbids ``eval``, by which Playwright would wait."""
        end = time.monotonic() + LONG / 1000
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            self.page.wait_for_timeout(50)

    def close(self) -> None:
        """Leave the page."""
        self.context.close()
