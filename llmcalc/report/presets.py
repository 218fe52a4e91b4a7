"""Reports for ``presets list``, ``presets search`` and ``presets where``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..schema import preset_files
from .document import Document, Fact, Table, columns, table_of
from .json_envelope import envelope
from .preset_summaries import summary
from .search import Model


def list_document(presets: Sequence[dict[str, Any]]) -> Document:
    """Build a report that lists all presets, with one row per family."""
    rows = [(preset["name"], preset["title"] + _status(preset), preset["year"], _sizes(preset)) for preset in presets]
    count = sum(max(len(preset["sizes"]), 1) for preset in presets)
    return Document(
        f"{count} models in {len(presets)} families",
        lambda: envelope("presets list", {}, {"presets": list(presets)}),
        subtitle=(
            "models are named family-size, such as gpt3-175b; the family name alone refers to the size marked *",
        ),
        tables=(Table("", columns("family: name", "title", "year: number 2", "sizes"), rows),),
    )


def _status(preset: dict[str, Any]) -> str:
    status = f" ({preset['status']})"
    return "" if preset["status"] == "published" or preset["title"].endswith(status) else status


def _sizes(preset: dict[str, Any]) -> str:
    return ", ".join(f"{size}*" if size == preset["default"] else size for size in preset["sizes"])


def search_document(words: Sequence[str], found: Sequence[Model]) -> Document:
    """Build the search report, with one row per matching model."""
    heads = {"model: name": "name", "title: text 3": "title", "year: number 2": "year", "kind: text 1": "kind"}
    return Document(
        f"{len(found)} {'model matches' if len(found) == 1 else 'models match'} {' '.join(words)}".rstrip(),
        lambda: envelope("presets search", {"words": list(words)}, {"models": [model._asdict() for model in found]}),
        tables=(table_of("", found, {**heads, "parameters: count": "total"}),),
    )


def where_document(name: str, found: preset_files.PresetLocation) -> Document:
    """Build a report with the preset file and size of a model, and all preset files that this file shadows."""
    file = Path(found.file)
    files = [os.path.join(folder, file.name) for folder in preset_files.folders()]
    hidden = [other for other in files if os.path.isfile(other) and other != found.file]
    size = found.size or summary(file.stem, found.file)["default"]
    result = {"file": found.file, "size": size, "hides": hidden}
    facts = (Fact("file", found.file), Fact("size", size or "the only one"), *(Fact("hides", file) for file in hidden))
    return Document(name, lambda: envelope("presets where", {"model": name}, result), facts=facts)
