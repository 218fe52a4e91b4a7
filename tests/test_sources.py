"""Citations: a key in a docstring has its publication."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import yaml

from llmcalc.schema.preset_files import shipped_folder

PACKAGE = Path(str(files("llmcalc")))
PUBLICATIONS = yaml.safe_load((PACKAGE / "data" / "sources.yaml").read_text("utf-8"))
CITATION = re.compile(r"\[[a-z][a-z-]*\d{4}\w*[^\[\]]*\]")
KEY = re.compile(r"\b[a-z][a-z-]*\d{4}\w*")


def cited(text: str) -> set[str]:
    """The keys within brackets, as in ``[dao2024, Section 7; gu2023]``."""
    return {key for citation in CITATION.findall(text) for key in KEY.findall(citation)}


def modules() -> dict[str, set[str]]:
    return {str(path.relative_to(PACKAGE)): cited(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}


def test_citations_are_read() -> None:
    assert cited("[dao2024, Section 7; gu2023] and x[b q d]") == {"dao2024", "gu2023"}
    assert set().union(*modules().values())


def test_every_key_has_its_publication() -> None:
    missing = {name: keys - PUBLICATIONS.keys() for name, keys in modules().items()}
    assert {name: keys for name, keys in missing.items() if keys} == {}


def test_every_publication_is_cited() -> None:
    listed = PACKAGE / "data" / "sources.yaml"
    files_of = [path for suffix in ("*.py", "*.yaml") for path in PACKAGE.rglob(suffix) if path != listed]
    files_of += Path(shipped_folder()).glob("*.yaml")
    words = {word for path in files_of for word in re.findall(r"\w+", path.read_text("utf-8"))}
    assert [key for key in PUBLICATIONS if key not in words] == []
