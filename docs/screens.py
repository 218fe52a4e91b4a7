"""Update the screens in README.md, CONTRIBUTING.md and docs/*.md, and the pictures, by running their commands again.

    python docs/screens.py          rewrite the files
    python docs/screens.py --check  exit with 1 if a screen is out of date

A screen is a fenced "console" block with lines ``$ llmcalc ...`` and the output of these commands. If it ends with
``...``, only the beginning of the output is shown. A fenced block of YAML, TOML or another file format whose first
line is ``# file: NAME``, or ``// file: NAME`` in JSON, is a file that commands on the same page can read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROMPT, CUT = "$ ", "..."
WIDTH = 100
SHORTEST_CUT = 18  # number of lines in a new truncated screen
PICTURES = {  # file: command that generates it
    "docs/models.svg": "llmcalc timeline --format svg",
    "docs/front.svg": "llmcalc serve llama3.3-70b --gpu h100:8 --isl 4k --osl 500 --pareto --format svg",
}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(#|//) file: (\S+)\n")
FORMATS = ("yaml", "toml", "json", "bash", "text")  # of files


class Screen(NamedTuple):
    """A command line and the lines of its output."""

    command: str
    lines: list[str]


def pages() -> list[Path]:
    """List the pages that can contain screens."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def screens(block: str) -> Iterator[Screen]:
    """Yield the screens of a console block."""
    for part in block.split(PROMPT)[1:] if block.startswith(PROMPT) else []:
        command, *lines = part.rstrip("\n").split("\n")
        yield Screen(command, lines)


def files(text: str) -> dict[str, str]:
    """Map the names of the files in a page to their contents."""
    blocks = [match[2] for match in _FENCE.finditer(text) if match[1] in FORMATS]
    found = [(block, match) for block in blocks if (match := _FILE.match(block))]
    return {match[2]: block if match[1] == "#" else block[match.end() :] for block, match in found}


def run(command: str, folder: str) -> subprocess.CompletedProcess[str]:
    """Run a command line with WIDTH columns."""
    program, *words = command.split()
    assert program == "llmcalc", command
    environment = {**os.environ, "COLUMNS": str(WIDTH), "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    if (ROOT / "llmcalc").is_dir():
        environment["PYTHONPATH"] = str(ROOT)
    arguments = [sys.executable, "-m", "llmcalc", *words]
    return subprocess.run(arguments, capture_output=True, text=True, encoding="utf-8", cwd=folder, env=environment)


def rendered(text: str) -> str:
    """Return the page with the current output of every screen."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files(text).items():
            (Path(folder) / name).write_text(content, "utf-8")

        def replace(match: re.Match[str]) -> str:
            if match[1] != "console":
                return match[0]
            return "```console\n" + "".join(map(again, screens(match[2]))) + "```"

        def again(screen: Screen) -> str:
            done = run(screen.command, folder)
            lines = [line.rstrip() for line in (done.stdout + done.stderr).rstrip("\n").split("\n")]
            if screen.lines[-1:] == [CUT]:
                lines = [*lines[: len(screen.lines) - 1 or SHORTEST_CUT], CUT]
            return "\n".join([PROMPT + screen.command, *lines]) + "\n"

        return _FENCE.sub(replace, text)


def main() -> int:
    """Rewrite all pages and pictures, or check them."""
    check = sys.argv[1:] == ["--check"]
    stale = 0
    made = [(page, rendered(page.read_text("utf-8"))) for page in pages()]
    made += [(ROOT / name, run(command, str(ROOT)).stdout) for name, command in PICTURES.items()]
    for file, new in made:
        if not file.exists() or new != file.read_text("utf-8"):
            stale += 1
            print(f"{file.relative_to(ROOT)}: {'out of date' if check else 'rewritten'}")
            if not check:
                file.write_text(new, "utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
