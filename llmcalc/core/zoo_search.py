"""Search path for layer kinds, NumPy models and config readers.

The main package is searched before the zoo. Zoo modules must be imported dynamically, not with ``import``.
"""

from __future__ import annotations

import os
from functools import cache

PACKAGE = os.path.dirname(os.path.dirname(__file__))
NAME = os.path.basename(PACKAGE)
ZOO = "zoo"


@cache
def rooms() -> tuple[str, ...]:
    """Return the names of the zoo packages, such as ``vision``."""
    zoo = os.path.join(PACKAGE, ZOO)
    return tuple(sorted(name for name in os.listdir(zoo) if name[0] != "_" and os.path.isdir(os.path.join(zoo, name))))


@cache
def find_module(folder: str, name: str, parent: str = "") -> str | None:
    """Return the dotted name of a module in ``folder``, or None. ``parent`` is the package path to ``folder``.

    >>> find_module("layers", "attention"), find_module("layers", "hashed_attention")
    ('llmcalc.layers.attention', 'llmcalc.zoo.research.layers.hashed_attention')
    """
    if not name.isidentifier() or name.startswith("_"):
        return None
    places = [f"{parent}/{folder}".lstrip("/"), *(f"{ZOO}/{room}/{folder}" for room in rooms())]
    found = (place for place in places if os.path.isfile(os.path.join(PACKAGE, place, f"{name}.py")))
    return next((".".join((NAME, *place.split("/"), name)) for place in found), None)


@cache
def module_names(folder: str, parent: str = "") -> tuple[str, ...]:
    """Return the names of all modules in a folder of the main package (under ``parent``) and of each zoo package."""
    found = data_files(folder, ".py", parent)
    return tuple(sorted({name[:-3] for name in map(os.path.basename, found) if name[0] != "_"}))


@cache
def data_files(folder: str, suffix: str, parent: str = "") -> tuple[str, ...]:
    """Return the files with a suffix in a folder of the main package (under ``parent``) and of each zoo package."""
    rest = (os.path.join(PACKAGE, ZOO, room, folder) for room in rooms())
    places = [place for place in (os.path.join(PACKAGE, parent, folder), *rest) if os.path.isdir(place)]
    found = ((place, name) for place in places for name in sorted(os.listdir(place)) if name.endswith(suffix))
    return tuple(os.path.join(place, name) for place, name in found)
