"""Citations by key: ``brown2020`` is what a preset says; a reader wants the paper."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "data"


@lru_cache(maxsize=1)
def citations() -> dict[str, Any]:
    """Every citation by its key; in a wheel they were compiled to JSON beside the YAML file."""
    compiled, written = FOLDER / "sources.json", FOLDER / "sources.yaml"
    if compiled.is_file():
        import json

        return dict(json.loads(compiled.read_text("utf-8")))
    if not written.is_file():
        return {}
    from ..schema.yaml_reader import read_yaml

    return dict(read_yaml(written.read_text("utf-8"), str(written)).data)


def cite(source: str) -> str:
    """``brown2020 Table 2.1`` with the paper behind its first word, if that word is a known key."""
    key = source.split(" ", 1)[0].rstrip(",;:")
    entry = citations().get(key)
    if entry is None:
        return source
    text = ", ".join(str(value) for value in entry.values()) if isinstance(entry, dict) else str(entry)
    return f"{source} ({text})"
