"""The table of rooms in docs/architecture.md lists every folder of the package, and no folder that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import llmcalc
from llmcalc.data import tables
from llmcalc.inputs.gpus import accelerators
from llmcalc.inputs.laws import laws

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
PACKAGE = Path(llmcalc.__file__).parent
ROW = re.compile(r"^\| `([\w/]+)` \| ([^|]+\?) \| ([^|]+) \|$", re.MULTILINE)


def rooms(text: str) -> dict[str, str]:
    """Folder: its question."""
    return {match[1]: match[2] for match in ROW.finditer(text)}


def folders() -> set[str]:
    return {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in ("__pycache__", "presets")}


def test_every_folder_is_in_the_table() -> None:
    found = rooms(PAGE.read_text("utf-8"))
    assert folders() == {name for name in found if "/" not in name}
    assert all((PACKAGE / name).is_dir() for name in found)
    assert len(set(found.values())) == len(found)


def test_a_missing_row_is_noticed() -> None:
    text = PAGE.read_text("utf-8")
    assert folders() != set(rooms(text.replace("| `calc` |", "| calc |")))


def test_the_readme_counts_what_is_included() -> None:
    numbers = (
        f"{len(tables('formats'))} number formats, {len(accelerators())} accelerators and {len(laws())} scaling laws"
    )
    assert numbers in (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
