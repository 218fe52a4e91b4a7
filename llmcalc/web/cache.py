"""Files that take long to make or to download, kept in the cache of the user."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

Files = dict[str, bytes]  # contents by name


def cache_folder() -> Path:
    """Return the folder of llmcalc in the cache of the user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmcalc"


def cached(folder: Path, compute: Callable[[], Files]) -> Files:
    """Return the files of a folder, which appears complete once they have been computed."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            made = Path(unfinished) / "made"
            made.mkdir()
            for name, content in compute().items():
                (made / name).write_bytes(content)
            try:
                made.rename(folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    return read_folder(folder)


def read_folder(folder: Path) -> Files:
    """Return the files of a folder."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def digest(files: Mapping[str, bytes]) -> str:
    """Return a short hash of names and contents."""
    parts = (f"{name}\0{len(files[name])}\0".encode() + files[name] for name in sorted(files))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]
