"""The files with closed forms. A wheel has them. Otherwise, they are compiled once for each state of the source."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from .pyodide import Files, cache_folder

SOURCES = ("forms.py", "forms_catalogue.py")
WITHOUT_EFFECT = (
    "llmcalc/web/", "llmcalc/cli/", "llmcalc/lint/", "llmcalc/importers/", "llmcalc/zoo/", "llmcalc/estimate/time/",
    "llmcalc/estimate/scaling/", "llmcalc/data/engines/", "llmcalc/data/efficiency/", "llmcalc/data/training_files/",
    "yaml/",
)  # fmt: skip
FOLDER = "forms"  # of the page
COMPILED = "compiled_forms"  # of a wheel


def form_files(package: Mapping[str, str]) -> Files:
    """Return the files by path in the page. The texts of ``package`` decide the forms."""
    shipped = Path(__file__).with_name(COMPILED)
    found = _in(shipped) if shipped.is_dir() else cached(cache_folder() / f"forms-{_key(package)}", _compiled)
    return {f"{FOLDER}/{name}": content for name, content in found.items()}


def _key(package: Mapping[str, str]) -> str:
    sources = [Path(__file__).with_name(name).read_text("utf-8") for name in SOURCES]
    sources += [text for name, text in sorted(package.items()) if not name.startswith(WITHOUT_EFFECT)]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def _compiled() -> Files:
    from .forms import files

    return files()


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
    return _in(folder)


def _in(folder: Path) -> Files:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
