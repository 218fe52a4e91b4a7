"""YAML data files for number formats, optimizers, hardware, citations and more. Wheels also include JSON versions."""

from __future__ import annotations

import os
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing takes long
    from typing import Any

FOLDER = os.path.dirname(__file__)


@cache
def table(name: str) -> dict[str, Any]:
    """Return the contents of ``<name>.yaml``. ``name`` may include a subfolder, as in ``hardware/nvidia``."""
    return read_table(os.path.join(FOLDER, name))


def read_table(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a data file from compiled JSON if present, or from YAML otherwise. ``file`` is the path without a
    suffix.
    """
    compiled, source = f"{os.fspath(file)}.json", f"{os.fspath(file)}.yaml"
    if os.path.isfile(compiled):
        import json

        with open(compiled, encoding="utf-8") as stream:
            data: dict[str, Any] = json.load(stream)
        return data
    from ..schema.yaml_reader import read_yaml

    with open(source, encoding="utf-8") as stream:
        found: dict[str, Any] = read_yaml(stream.read(), source).data
    return found


def tables(folder: str) -> dict[str, Any]:
    """Return the merged contents of all data files in a folder."""
    return dict(_merged(folder))


@cache
def _merged(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    entries = os.listdir(os.path.join(FOLDER, folder))
    for stem in sorted({entry[:-5] for entry in entries if entry.endswith((".yaml", ".json"))}):
        found |= table(f"{folder}/{stem}")
    return found
