"""Bytes and seconds of visits to the page in headless Chromium.

    llmcalc web build -o site
    python benchmarks/page.py site

needs playwright and a Chromium. Prints a line for each visit: the bytes of bodies that the server sent, the seconds
until Python is ready, and those of commands. Fails if a visit cannot run a command, or if a later one receives bytes.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from llmcalc.web.serve import HOST, Handler

LINES = ("params gpt3", "fit llama3-8b --gpu h100 --solve seq", "sweep llama3-8b memory.peak --over seq=1k..64k:x2")
MODULE = "(await import(new URL('python.js', document.baseURI)))"
READY = f"async () => {{ await {MODULE}.ready; return performance.now() / 1000; }}"
RUN = f"""async (line) => {{
    const begin = performance.now();
    const {{ code, text }} = await {MODULE}.ask({{ kind: 'run', line }});
    return [code, (performance.now() - begin) / 1000, text];
}}"""
FIRST = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime / 1000"
KEPT = """async () => {
    const names = (await caches.keys()).filter((name) => name.includes("snapshot"));
    return names.length > 0 && (await (await caches.open(names[0])).keys()).length > 0;
}"""
LONGEST_WAIT = 120  # seconds


class Counted(Handler):
    """Counts the bytes of bodies."""

    sent = 0

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        Counted.sent += len(content)
        outputfile.write(content)


def visit(context: BrowserContext, url: str, title: str) -> tuple[Page, int]:
    """Open the page, run commands, and return the page and the bytes that were sent."""
    before, page = Counted.sent, context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    seconds = [page.evaluate(READY)]
    for line in LINES:
        code, took, text = page.evaluate(RUN, line)
        assert code == 0, text
        seconds.append(took)
    assert not problems, problems
    sent = Counted.sent - before
    times = ", ".join(f"{name} {took:.2f} s" for name, took in zip(("ready", *LINES), seconds, strict=True))
    print(f"{title}: {sent:,} bytes, first paint {page.evaluate(FIRST):.2f} s, {times}", flush=True)
    return page, sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--chromium", help="program (default: that of playwright)")
    given = parser.parse_args()
    running = ThreadingHTTPServer((HOST, 0), partial(Counted, directory=str(given.site.resolve().parent)))
    Thread(target=running.serve_forever, daemon=True).start()
    url = f"http://{HOST}:{running.server_port}/{given.site.resolve().name}/"  # a sub-path, as on many hosts
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        options = ["--no-sandbox", "--disable-background-networking"]
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=given.chromium, args=options, headless=True
        )
        page, _ = visit(context, url, "first visit")
        page.wait_for_selector("html[data-cached=true]", timeout=1000 * LONGEST_WAIT)
        for _ in range(LONGEST_WAIT):
            if page.evaluate(KEPT):
                break
            page.wait_for_timeout(1000)
        print(f"first visit, with what is kept for later ones: {Counted.sent:,} bytes", flush=True)
        page.close()
        page, sent = visit(context, url, "second visit")
        assert not sent
        page.close()
        running.shutdown()
        running.server_close()
        visit(context, f"{url}index.html#model=gpt3", "without the server")
        context.close()


if __name__ == "__main__":
    main()
