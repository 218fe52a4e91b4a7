"""Detection of layer fields that a NumPy model does not implement."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from inspect import unwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ..core.errors import UnsupportedError
from ..core.part import nested_fields
from ..core.record import MISSING
from ..core.zoo_search import find_module

# Fields about implementations and memory, which do not affect results.
NO_NUMBERS = {"implementation", "cache", "recomputed_per_step", "softmax_in_fp32", "loss_in_fp32", "top_k_run"}
NO_NUMBERS |= {"padded_to", "padded_above"}


def check_fields(layer: Any, module: ModuleType) -> None:
    """Raise an UnsupportedError if the module never mentions a field with a non-default value.

    Fields in the module's ``INPUT_FIELDS`` are exempt because they only change the shape of the input.
    """
    known = mentioned_names(module.__name__) | NO_NUMBERS | getattr(module, "INPUT_FIELDS", frozenset())
    for name, choices in layer.PARTS.items():  # a part with a module of its own
        folder, part = getattr(choices, "folder", ""), getattr(layer, name)
        place = find_module(folder, part.kind(), "twins") if folder and part else None
        known |= mentioned_names(import_module(place).__name__) if place else frozenset()
    for path, value, usual, _ in nested_fields(layer):
        if path.rpartition(".")[2] not in known and usual is not MISSING and value != usual:
            raise UnsupportedError(f"the NumPy model does not implement {path}", where=layer.kind())


@cache
def mentioned_names(module: str) -> frozenset[str]:
    """Return all attribute names used in a NumPy model and in the package modules that it imports."""
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
    """Yield the names used in a function, including its nested functions and expressions."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
        elif isinstance(constant, str) and constant.isidentifier():  # getattr(layer, "unused", False)
            yield constant
