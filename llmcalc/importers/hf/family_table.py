"""The table of model families: the function that reads each ``model_type``, and the checkpoint layout.

The table is data: ``data/families.yaml``, and ``zoo/<room>/families.yaml`` for families that live in the zoo. Each
family is one line there and one function in a module of ``families/`` or ``zoo/<room>/families/``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from ...core.architecture import Architecture
from ...core.zoo_search import PACKAGE, ZOO, find_module
from ...data import read_table, table
from .config import Config


class Family(NamedTuple):
    """The function that reads a ``model_type``, and the layout of the stored tensors."""

    model_type: str
    module: str
    function: str
    layout: str

    def read(self, config: Config) -> Architecture:
        """Return the architecture of a config of this family."""
        function: Callable[[Config], Architecture] = find_function(f"families.{self.module}.{self.function}")
        return function(config)


def find_function(place: str) -> Any:
    """Return the function at ``folder.module.function`` or ``module.function``, at home or in the zoo."""
    *folder, name, function = place.split(".")
    module = find_module(folder[0], name, parent="importers/hf") if folder else f"{__package__}.{name}"
    assert module is not None, f"no module for {place}"
    return getattr(import_module(module), function)


def find_row(name: str, key: str) -> Any:
    """Return a row of a table at home or in the zoo, or None; ``like`` adds the fields of another row."""
    row = table(name).get(key) or zoo_table(name).get(key)
    while isinstance(row, dict) and "like" in row:
        row = {**find_row(name, row["like"]), **{field: value for field, value in row.items() if field != "like"}}
    return row


@cache
def zoo_table(name: str) -> dict[str, Any]:
    """Return a table combined from all rooms of the zoo."""
    files = sorted({file.with_suffix("") for file in (PACKAGE / ZOO).glob(f"*/{name}.*")})
    return {key: row for file in files for key, row in read_table(file).items()}


def find(model_type: str) -> Family | None:
    """Return the family of a ``model_type``, or None."""
    return _home().get(model_type) or _zoo().get(model_type)


def names() -> list[str]:
    """Return every supported ``model_type``, with those of the zoo last."""
    return [*_home(), *_zoo()]


@cache
def _home() -> dict[str, Family]:
    return _parse(table("families"))


@cache
def _zoo() -> dict[str, Family]:
    return _parse(zoo_table("families"))


def _parse(entries: dict[str, str]) -> dict[str, Family]:
    """Parse lines such as ``qwen2: llama.qwen2 llama``: module, function, and the layout if it differs."""
    found = {}
    for model_type, entry in entries.items():
        target, _, layout = entry.partition(" ")
        module, _, function = target.partition(".")
        found[model_type] = Family(model_type, module, function, layout or model_type)
    return found
