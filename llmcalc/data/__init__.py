"""YAML data files for number formats, optimizers, hardware, citations and more. Wheels also include JSON versions."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@cache
def table(name: str) -> dict[str, Any]:
    """Return the contents of ``<name>.yaml``. ``name`` may include a subfolder, as in ``hardware/nvidia``."""
    return read_table(FOLDER / name)


def read_table(file: Path) -> dict[str, Any]:
    """Read a data file, given without its suffix, from compiled JSON if present and from YAML otherwise."""
    compiled, source = file.with_suffix(".json"), file.with_suffix(".yaml")
    if compiled.is_file():
        import json

        data: dict[str, Any] = json.loads(compiled.read_text("utf-8"))
        return data
    from ..schema.yaml_reader import read_yaml

    found: dict[str, Any] = read_yaml(source.read_text("utf-8"), str(source)).data
    return found


def tables(folder: str) -> dict[str, Any]:
    """Return the merged contents of all data files in a folder."""
    found: dict[str, Any] = {}
    for stem in sorted({file.stem for file in (FOLDER / folder).iterdir() if file.suffix in (".yaml", ".json")}):
        found |= table(f"{folder}/{stem}")
    return found
