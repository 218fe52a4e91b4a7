"""The files with closed forms, which are compiled once for each version of the package and kept in the user's cache."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from .pyodide import Files, cache_folder

Note = Callable[[str], None]
SOURCES = ("forms.py", "forms_catalogue.py")
WITHOUT_EFFECT = (
    "llmcalc/web/", "llmcalc/cli/", "llmcalc/lint/", "llmcalc/importers/", "llmcalc/zoo/", "llmcalc/estimate/time/",
    "llmcalc/estimate/scaling/", "llmcalc/data/engines/", "llmcalc/data/efficiency/", "llmcalc/data/training_files/",
    "yaml/",
)  # fmt: skip
FOLDER = "forms"  # of the page
NOTE = "compiling the closed forms of all presets, which takes a minute ..."


def form_files(package: Mapping[str, str], note: Note) -> Files:
    """Return the files by path in the page. The texts of ``package`` decide the forms.

    ``note`` is called before they are compiled.
    """

    def compiled() -> Files:
        from .forms import files

        note(NOTE)
        return files()

    found = cached(cache_folder() / f"forms-{_key(package)}", compiled)
    return {f"{FOLDER}/{name}": content for name, content in found.items()}


def _key(package: Mapping[str, str]) -> str:
    sources = [Path(__file__).with_name(name).read_text("utf-8") for name in SOURCES]
    sources += [text for name, text in sorted(package.items()) if not name.startswith(WITHOUT_EFFECT)]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


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
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
