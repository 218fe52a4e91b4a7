"""Facts as data: number formats, optimizers, hardware, citations; one YAML file each, compiled to JSON in a wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@cache
def table(name: str) -> dict[str, Any]:
    """The content of ``<name>.yaml``; ``name`` may hold a folder, as in ``hardware/nvidia``."""
    compiled = FOLDER / f"{name}.json"
    if compiled.is_file():
        import json

        data: dict[str, Any] = json.loads(compiled.read_text("utf-8"))
        return data
    from ..schema.yaml_reader import read_yaml

    source = FOLDER / f"{name}.yaml"
    found: dict[str, Any] = read_yaml(source.read_text("utf-8"), str(source)).data
    return found


def tables(folder: str) -> dict[str, Any]:
    """All files of a folder as one table."""
    found: dict[str, Any] = {}
    for stem in sorted({file.stem for file in (FOLDER / folder).iterdir() if file.suffix in (".yaml", ".json")}):
        found |= table(f"{folder}/{stem}")
    return found
