"""CPython for WebAssembly: the npm package of Pyodide at a pinned version, checked against its hash."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from ..core.errors import InputError
from .cache import Files, cache_folder, cached, digest

VERSION = "314.0.7"
SHA256 = "66b7949e5a0cba2250b586d7e368bf12fb482800748d182c4618254b685ffaa0"
NAMES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
ARCHIVE = f"pyodide-{VERSION}.tgz"
UNUSED = (
    "_pyio", "_pyrepl", "doctest", "ftplib", "imaplib", "mailbox", "multiprocessing", "optparse", "pdb", "pickletools",
    "poplib", "pydoc", "smtplib", "turtle", "unittest", "wsgiref", "xmlrpc",
)  # fmt: skip  # modules of the standard library that the page does not import
LANGUAGES = re.compile(
    r"encodings/(big5|cp(?!437)|euc|gb|hp|hz|iso(?!8859_1\.)|johab|koi8|kz|mac|palmos|ptcp|shift|tis)"
)
LONGEST_WAIT = 600  # seconds for the package manager


def pyodide_files(given: Path | None = None) -> Files:
    """Return the files of Pyodide by name.

    Args:
        given: folder with these files or with the archive of the package, or the archive. By default, the archive in
            the cache of the user, or else the one that ``npm pack`` downloads.
    """
    if given is None:
        return _unpacked(_archive())
    if given.is_dir() and not (given / ARCHIVE).is_file():
        return _in_folder(given)
    return _unpacked(given / ARCHIVE if given.is_dir() else given)


def _in_folder(folder: Path) -> Files:
    missing = [name for name in NAMES if not (folder / name).is_file()]
    if missing:
        hint = f"give a folder with {', '.join(NAMES)}, or with {ARCHIVE}"
        raise InputError(f"has no file {missing[0]}", where=str(folder), hint=hint)
    return {name: (folder / name).read_bytes() for name in NAMES}


def _unpacked(archive: Path) -> Files:
    """Return the files of an archive whose hash is that of the pinned version."""
    try:
        content = archive.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(archive)) from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise InputError(f"is not Pyodide {VERSION}: its SHA-256 is not {SHA256}", where=str(archive))
    with tarfile.open(archive) as package:
        members = {name: package.extractfile(f"package/{name}") for name in NAMES}
        return {name: member.read() for name, member in members.items() if member}


def packed_python(pyodide: Files) -> Files:
    """Return Pyodide as the page loads it: large files compressed, and no list of packages."""
    key = digest(pyodide | {"": Path(__file__).read_bytes()})
    return cached(cache_folder() / f"python-{key}", lambda: _packed(pyodide))


def _packed(pyodide: Files) -> Files:
    lock = json.loads(pyodide["pyodide-lock.json"]) | {"packages": {}}
    return {
        "pyodide.mjs": pyodide["pyodide.mjs"],
        "pyodide.asm.mjs": pyodide["pyodide.asm.mjs"],
        "pyodide.asm.wasm.gz": gzip.compress(pyodide["pyodide.asm.wasm"], mtime=0),
        "python_stdlib.zip.gz": gzip.compress(_stored(pyodide["python_stdlib.zip"]), mtime=0),
        "pyodide-lock.json": json.dumps(lock).encode(),
    }


def _stored(archive: bytes) -> bytes:
    """Return the modules that the page may import as a ZIP archive without compression.

    It compresses better as a whole, and is faster to import from.
    """
    found = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(found, "w") as new:
        for member in old.infolist():
            if re.split(r"[./]", member.filename)[0] not in UNUSED and not LANGUAGES.match(member.filename):
                new.writestr(member, old.read(member), zipfile.ZIP_STORED)
    return found.getvalue()


def _archive() -> Path:
    """Return the archive in the cache of the user. Download it if it is missing."""
    archive = cache_folder() / ARCHIVE
    if not archive.is_file():
        with tempfile.TemporaryDirectory(prefix="llmcalc-pyodide-") as folder:
            _download(folder)
            archive.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(folder) / ARCHIVE, archive)
    return archive


def _download(folder: str) -> None:
    """Let npm download the archive into a folder."""
    npm = shutil.which("npm")
    hint = f"download {ARCHIVE} from npm elsewhere and pass {{pyodide=FOLDER}}"
    if npm is None:
        raise InputError("npm is not installed, and no folder with Pyodide is given", hint=hint)
    words = [npm, "pack", "--silent", "--ignore-scripts", f"pyodide@{VERSION}"]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=LONGEST_WAIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"npm failed: {error}", hint=hint) from None
    if done.returncode or not (Path(folder) / ARCHIVE).is_file():
        reason = next(iter((done.stderr or done.stdout).strip().splitlines()), "no output")
        raise InputError(f"npm cannot download Pyodide {VERSION}: {reason}", hint=hint)
