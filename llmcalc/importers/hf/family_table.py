"""Table that maps each ``model_type`` to a reader function and a checkpoint layout.

The core table is ``data/families.yaml``. Zoo families are listed in ``zoo/<package>/families.yaml``.
Each family has one line in the table and one function in ``families/`` or ``zoo/<package>/families/``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ...core.architecture import Architecture
from ...core.record import NamedTuple
from ...core.zoo_search import PACKAGE, ZOO, find_module
from ...data import read_table, table
from .config import Config


class Family(NamedTuple):
    """Reader function and checkpoint layout of a ``model_type``."""

    model_type: str
    module: str
    function: str
    layout: str

    def read(self, config: Config) -> Architecture:
        """Return the architecture described by a config of this family."""
        function: Callable[[Config], Architecture] = find_function(f"families.{self.module}.{self.function}")
        return function(config)


@cache
def find_function(place: str) -> Any:
    """Return the function at ``folder.module.function`` or ``module.function``, searching the zoo if needed."""
    *folder, name, function = place.split(".")
    module = find_module(folder[0], name, parent="importers/hf") if folder else f"{__package__}.{name}"
    assert module is not None, f"no module for {place}"
    return getattr(import_module(module), function)


def find_row(name: str, key: str) -> Any:
    """Return a row from the core tables or the zoo, or None. A row with ``like`` inherits fields from the named
    row.
    """
    row = table(name).get(key) or zoo_table(name).get(key)
    while isinstance(row, dict) and "like" in row:
        row = {**find_row(name, row["like"]), **{field: value for field, value in row.items() if field != "like"}}
    return row


@cache
def zoo_table(name: str) -> dict[str, Any]:
    """Return a table that combines the rows of all zoo packages."""
    files = sorted({file.with_suffix("") for file in Path(PACKAGE, ZOO).glob(f"*/{name}.*")})
    return {key: row for file in files for key, row in read_table(file).items()}


def find(model_type: str) -> Family | None:
    """Return the family of a ``model_type``, or None if the type is unknown."""
    return _home().get(model_type) or _zoo().get(model_type)


def names() -> list[str]:
    """Return every supported ``model_type``, with zoo families last."""
    return [*_home(), *_zoo()]


@cache
def _home() -> dict[str, Family]:
    return _parse(table("families"))


@cache
def _zoo() -> dict[str, Family]:
    return _parse(zoo_table("families"))


def _parse(entries: dict[str, str]) -> dict[str, Family]:
    """Parse lines such as ``qwen2: llama.qwen2 llama`` into a module, a function and an optional layout."""
    found = {}
    for model_type, entry in entries.items():
        target, _, layout = entry.partition(" ")
        module, _, function = target.partition(".")
        found[model_type] = Family(model_type, module, function, layout or model_type)
    return found
