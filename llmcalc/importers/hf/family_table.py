"""The table of model families: the function that reads each ``model_type``, and the layout of its checkpoints.

The table is data: ``data/families.yaml``, and ``zoo/<room>/families.yaml`` for families that live in the zoo. Each
family is one line there and one function in a module of ``families/`` or ``zoo/<room>/families/``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import NamedTuple

from ...core.architecture import Architecture
from ...core.search_path import PACKAGE, ZOO, find_module
from ...data import read_table, table
from .config import Config


class Family(NamedTuple):
    """How to read the config of a ``model_type``, and the layout of its stored tensors."""

    model_type: str
    module: str
    function: str
    layout: str

    def read(self, config: Config) -> Architecture:
        """The architecture of a config of this family."""
        module = find_module("families", self.module, parent="importers/hf")
        assert module is not None, f"no module {self.module} for {self.model_type}"
        function: Callable[[Config], Architecture] = getattr(import_module(module), self.function)
        return function(config)


def find(model_type: str) -> Family | None:
    """The family of a ``model_type``, or None."""
    return _home().get(model_type) or _zoo().get(model_type)


def names() -> list[str]:
    """Every supported ``model_type``, those of the zoo last."""
    return [*_home(), *_zoo()]


@cache
def _home() -> dict[str, Family]:
    return _parse(table("families"))


@cache
def _zoo() -> dict[str, Family]:
    files = sorted({file.with_suffix("") for file in (PACKAGE / ZOO).glob("*/families.*")})
    return {name: family for file in files for name, family in _parse(read_table(file)).items()}


def _parse(entries: dict[str, str]) -> dict[str, Family]:
    """Families from lines such as ``qwen2: llama.qwen2 llama``: module, function, and the layout if it differs."""
    found = {}
    for model_type, entry in entries.items():
        target, _, layout = entry.partition(" ")
        module, _, function = target.partition(".")
        found[model_type] = Family(model_type, module, function, layout or model_type)
    return found
