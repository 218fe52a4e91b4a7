"""What README.md and docs/ tell a reader to type works, and prints what stands below it."""

from __future__ import annotations

import importlib.util
import io
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OK, NO, BAD_INPUT = 0, 1, 2


def load_screens() -> ModuleType:
    """The script ``docs/screens.py``, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("screens", ROOT / "docs" / "screens.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


screens: Any = load_screens()
PAGES = screens.pages()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [match[2] for match in FENCE.finditer(page.read_text("utf-8")) if match[1] == language]


def commands() -> list[tuple[str, str]]:
    """(page, command line) of everything that begins with ``llmcalc``, in screens and in running text."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        shown = [line for block in blocks(page, "console") for line in block.splitlines()]
        shown = [line.removeprefix(screens.PROMPT) for line in shown if line.startswith(screens.PROMPT)]
        shown += [line for block in blocks(page, "bash") for line in block.splitlines()]
        shown += re.findall(r"`(llmcalc [^`]+)`", FENCE.sub("", text))
        lines = [part.strip() for line in shown for part in line.split("&&")]
        lines = [re.sub(r"^\.venv/bin/|\s+> \S+$|\s+#.*$", "", line) for line in lines]
        found += [(page.name, line) for line in lines if line.startswith("llmcalc ")]
    return [each for each in dict.fromkeys(found) if not each[1].startswith("llmcalc web")]  # tests/web runs these


def test_the_pages_have_commands_and_screens() -> None:
    assert {"README.md", "architecture.md", "presets.md", "conventions.md", "CONTRIBUTING.md"} <= {
        p.name for p in PAGES
    }
    for verb in ("params", "compare", "explain", "presets"):
        assert any(shlex.split(line)[1] == verb for _, line in commands()), verb
        shown = [block for page in PAGES for block in blocks(page, "console")]
        assert verb == "presets" or any(f"$ llmcalc {verb} " in block for block in shown), verb


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: value)
def test_every_command_works(page: str, line: str, tmp_path: Path) -> None:
    (source,) = [path for path in PAGES if path.name == page]
    for name, content in screens.files(source.read_text("utf-8")).items():
        (tmp_path / name).write_text(content, "utf-8")
    for earlier in [each for own, each in commands() if own == page]:  # which write a file that this one reads
        written = re.search(r" -o (\S+)$", earlier)
        if written and written[1] in line.split() and earlier != line:
            assert screens.run(earlier, str(tmp_path)).returncode == OK
    done = screens.run(line, str(tmp_path))
    assert done.returncode == (NO if "✗" in done.stdout else OK), done.stderr
    assert done.stdout
    assert not done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_screen_is_what_the_command_prints(page: Path) -> None:
    text = page.read_text("utf-8")
    assert screens.rendered(text) == text, "run: python docs/screens.py"


def test_this_check_can_fail() -> None:
    text = "```console\n$ llmcalc params gpt2\nGPT-2 has no parameters\n```\n"
    assert screens.rendered(text) != text
    assert screens.run("llmcalc params gtp2", ".").returncode == BAD_INPUT


@pytest.mark.parametrize("block", blocks(ROOT / "README.md", "python"))
def test_library_examples_print_what_their_comments_say(block: str) -> None:
    expected = re.findall(r"^print\(.*\)\s*# (.+)$", block, re.MULTILINE)
    assert len(expected) == block.count("print(") > 0
    output = io.StringIO()
    with redirect_stdout(output):
        exec(compile(block, "README.md", "exec"), {})
    assert output.getvalue().splitlines() == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        generated = target.startswith(("kinds/", "families/")) or target in ("cli.md", "python.md")
        assert target.startswith("http") or generated or (page.parent / target).exists(), target
