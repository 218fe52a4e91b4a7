"""Nothing silent: a layer with a field that its twin does not know is not run as if the field were not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from inspect import unwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ..core.errors import UnsupportedError
from ..core.record import MISSING, fields

# How a library implements a layer, or how its gradient flows; the numbers are the same.
NO_NUMBERS = frozenset(
    {
        "implemented_cache",
        "recomputed_per_step",
        "softmax_in_fp32",
        "loss_in_fp32",
        "top_k_run",
        "padded_to",
        "padded_above",
    }
)
# Sizes of a part that a layer may not have: derived all the same, they say nothing where the other field is empty.
PARTS = {"index_dim": "index_heads"}


def check_fields(layer: Any, module: ModuleType) -> None:
    """Raise an UnsupportedError for a field that differs from its default and that the module never mentions.

    ``AS_GIVEN`` of a module are fields that show in its input alone.
    """
    known = mentioned(module.__name__) | NO_NUMBERS | getattr(module, "AS_GIVEN", frozenset())
    for name, _, usual in fields(layer):
        if name in PARTS and not getattr(layer, PARTS[name], None):
            continue
        if name not in known and usual is not MISSING and getattr(layer, name) != usual:
            raise UnsupportedError(f"{name} has no counterpart in the NumPy model", where=layer.kind())


@cache
def mentioned(module: str) -> frozenset[str]:
    """Every attribute that the functions of a twin mention, and those of the twins' modules that they call."""
    package = __name__.rpartition(".")[0]
    twins = (f"{package}.", f"{package.partition('.')[0]}.zoo.")
    seen: set[str] = set()
    names: set[str] = set()
    todo = [module, f"{package}.stack", f"{package}.plan"]
    while todo:
        current = todo.pop()
        if current in seen or not current.startswith(twins):
            continue
        seen.add(current)
        for value in vars(sys.modules[current]).values():
            if isinstance(value, FunctionType):
                todo.append(value.__module__)
                names.update(_names(unwrap(value).__code__))
            elif isinstance(value, ModuleType):
                todo.append(value.__name__)
    return frozenset(names)


def _names(code: CodeType) -> Iterator[str]:
    """The names in a function, and in the functions and expressions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
        elif isinstance(constant, str) and constant.isidentifier():  # getattr(layer, "unused", False)
            yield constant
