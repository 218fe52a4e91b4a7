"""Python in the page gives what the command line gives, from pasted files too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from llmcalc.cli.main import main

from .configs import CONFIGS, config
from .conftest import Host, Visit

Capture = pytest.CaptureFixture[str]
ASK = "async message => (await import(new URL('python.js', document.baseURI))).ask(message)"
LINES = (
    "params gpt3", "compare bert palm", "flops mixtral --seq 1021", "memory llama3-8b --training",
    "fit llama3-70b --gpu h100:4", "latency qwen3-8b --gpu h100", "train gpt3 --gpu h100:64", "scale --params 7B",
    "explain t5 params.total", "design gpt3 --params 1B", "diff gpt2 gpt3", "evidence", "presets list",
    "serve llama3.1-8b --gpu h100 --isl 1000 --osl 200 --concurrency 16",
    "sweep gpt3 flops.total --over seq=1k..8k:x2",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(browser: Browser, site: Path) -> Iterator[Page]:
    host = Host(site)
    visit = Visit(browser, host)
    page = visit.open(with_python=False)
    yield page
    assert not visit.problems
    visit.close()
    host.close()


def ask(page: Page, **message: Any) -> dict[str, Any]:
    found = page.evaluate(ASK, message)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("line", LINES)
def test_a_command_gives_the_same_document(page: Page, line: str, capsys: Capture) -> None:
    code = main([*line.split(), "--format", "html"])
    expected = capsys.readouterr().out
    found = ask(page, kind="run", line=line)
    assert (found["code"], found["html"]) == (code, expected)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_pasted_config_gives_the_same_numbers(page: Page, family: str, tmp_path: Path, capsys: Capture) -> None:
    text = json.dumps(config(family))
    (tmp_path / "config.json").write_text(text, "utf-8")
    for command in ("params", "flops --seq 509", "memory --seq 509"):
        name, *rest = command.split()
        assert main([name, str(tmp_path / "config.json"), *rest, "--json"]) == 0
        expected = json.loads(capsys.readouterr().out)
        found = ask(page, kind="run", line=f"{command.replace(name, f'{name} config.json', 1)} --json",
                    files={"config.json": text})  # fmt: skip
        assert found["code"] == 0, found["text"]
        assert json.loads(found["text"])["result"] == expected["result"]
