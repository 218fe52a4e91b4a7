"""The ``llmcalc web`` commands for building and serving the page that runs llmcalc in a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import InputError
from ..options import FORCE
from ..output import write_text
from ..spec import Argument, Command, Option

if TYPE_CHECKING:
    from ...web.build import Built

TO = Option("--output", "Folder to write to, such as site (created if missing).", "DIR", short="-o")
PYODIDE = Option(
    "--pyodide", "Folder with Pyodide, or the .tgz of its npm package (default: npm downloads it once).", "PATH"
)
PORT = Option("--port", "Port of the server (default: a free one).", kind=int)
FOLDER = Argument("folder", "Folder of a page that was built (default: build it in the cache).", least=0, metavar="DIR")
LARGEST_PORT = 65535


def run_build(output: str | None, pyodide: str | None, force: bool) -> int:
    """Write the page and print its size."""
    if output is None:
        raise InputError("missing", parameter="output", hint="specify a folder, for example with -o site")
    built = _build(Path(output), pyodide, force)
    write_text(f"wrote {output}: version {built.version}, {built.sent_bytes / 1e6:.2f} MB on a first visit")
    return 0


def run_serve(folder: str | None, port: int | None, pyodide: str | None) -> int:
    """Serve the page until interrupted."""
    from ...web.cache import cache_folder
    from ...web.serve import address, server

    if port is not None and port > LARGEST_PORT:
        raise InputError(f"must be at most {LARGEST_PORT}, not {port}", parameter="port")
    if folder is not None and pyodide is not None:
        raise InputError("has no effect with a folder", parameter="pyodide", hint="omit one of them")
    if folder is None:
        _note("building the page ...")
    place = Path(folder) if folder is not None else _build(cache_folder() / "page", pyodide).folder
    if not (place / "index.html").is_file():
        raise InputError("has no index.html", where=str(place), hint=f"build it first: llmcalc web build -o {place}")
    try:
        running = server(place, port or 0)
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror}", parameter="port", hint="use another port") from None
    with running:
        print(f"{address(running)}  (press Ctrl+C to stop)", flush=True)
        running.serve_forever()
    return 0


def _build(folder: Path, pyodide: str | None, force: bool = False) -> Built:
    from ...web.build import build

    return build(folder, Path(pyodide) if pyodide is not None else None, force=force, note=_note)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


COMMANDS = (
    Command("web build", (TO, PYODIDE, FORCE), run_build),
    Command("web serve", (FOLDER, PORT, PYODIDE), run_serve),
)
