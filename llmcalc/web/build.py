"""The page as one static folder, which any web server can serve under any path.

built = build(Path("site"))
built.version, built.sent_bytes
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from pathlib import Path

from ..core.errors import InputError
from ..core.record import record
from .bundle import bundle, packed
from .cache import Files, digest
from .form_files import Note, form_files
from .pyodide import packed_python, pyodide_files

PAGE = Path(__file__).parent / "page"
NAMED = "build.js"  # module with the version, and the bytes that Python and the package have
INDEX, OFFLINE = "index.html", "offline.js"
MANIFEST = "version.js"  # names every other file, for the service worker and for a later build
PYTHON = "python/"  # folder of Pyodide
PACKAGE = "llmcalc.json.gz"
STARTED = tuple(f"{PYTHON}{name}.gz" for name in ("pyodide.asm.wasm", "python_stdlib.zip"))  # loaded beside the package


@record
class Built:
    """A page that was built: its folder, its version, and the bytes that a first visit transfers."""

    folder: Path
    version: str
    sent_bytes: int


def build(out: Path, pyodide: Path | None = None, *, force: bool = False, note: Note = lambda _: None) -> Built:
    """Write the page to a folder. An earlier page in this folder is replaced.

    Args:
        out: folder, created if it is missing.
        pyodide: folder with Pyodide, or the archive of its npm package (default: npm downloads it once).
        force: write to a folder that has other files.
        note: function that is called with a line of text before work that takes long.
    """
    old = _earlier(out, force)
    files = page_files(pyodide_files(pyodide), note)
    try:
        for name, content in files.items():
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for name in old - set(files):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(out)) from None
    return Built(out, _version(files), sum(map(len, files.values())))


def page_files(pyodide: Files, note: Note = lambda _: None) -> Files:
    """Return the content of every file of the page, by path."""
    files = {file.relative_to(PAGE).as_posix(): file.read_bytes() for file in sorted(PAGE.rglob("*")) if file.is_file()}
    package = bundle()
    files |= {PACKAGE: packed(package)} | form_files(package, note)
    files |= {PYTHON + name: content for name, content in packed_python(pyodide).items()}
    version = _version(files)
    loaded = sum(len(content) for name, content in files.items() if name in STARTED or name == PACKAGE)
    files[NAMED] = f"export const VERSION = {json.dumps(version)}, BYTES = {loaded};\n".encode()
    hashes = {"./" if name == INDEX else name: _integrity(files[name]) for name in sorted(files) if name != OFFLINE}
    text = f"self.VERSION = {json.dumps(version)};\nself.FILES = {json.dumps(hashes, indent=1)};\n"
    return files | {MANIFEST: text.encode()}


def _integrity(content: bytes) -> str:
    """Return a hash that browsers compare with a file."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}"


def _version(files: Files) -> str:
    """Return a hash of names and contents."""
    return digest({name: content for name, content in files.items() if name not in (MANIFEST, NAMED)})


def _earlier(out: Path, force: bool) -> set[str]:
    """Return the files of an earlier page in the folder."""
    if out.exists() and not out.is_dir():
        raise InputError("is not a folder", where=str(out))
    manifest = out / MANIFEST
    if manifest.is_file():
        _, _, names = manifest.read_text("utf-8").partition("self.FILES = ")
        with suppress(ValueError):
            found = json.loads(names.rstrip().rstrip(";"))
            return {name for name in found if ".." not in name and not name.startswith(("/", "./"))}
    if not force and out.is_dir() and any(out.iterdir()):
        raise InputError("folder is not empty", where=str(out), hint="pass {force=True} to add the page to its files")
    return set()
