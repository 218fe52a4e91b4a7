"""Search path for layer kinds, NumPy models and config readers.

The main package is searched before the zoo. Zoo modules must not be loaded with an import statement.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
ZOO = "zoo"


@cache
def rooms() -> tuple[str, ...]:
    """Return the names of the zoo packages, such as ``vision``."""
    return tuple(sorted(path.name for path in (PACKAGE / ZOO).glob("[a-z]*") if path.is_dir()))


@cache
def find_module(folder: str, name: str, parent: str = "") -> str | None:
    """Return the dotted name of a module in ``folder``, or None. ``parent`` is the package path to ``folder``.

    >>> find_module("layers", "attention"), find_module("layers", "hashed_attention")
    ('llmcalc.layers.attention', 'llmcalc.zoo.research.layers.hashed_attention')
    """
    if not name.isidentifier() or name.startswith("_"):
        return None
    if (PACKAGE / parent / folder / f"{name}.py").is_file():
        return ".".join((PACKAGE.name, *Path(parent, folder).parts, name))
    found = (room for room in rooms() if (PACKAGE / ZOO / room / folder / f"{name}.py").is_file())
    return next((f"{PACKAGE.name}.{ZOO}.{room}.{folder}.{name}" for room in found), None)


@cache
def module_names(folder: str) -> tuple[str, ...]:
    """Return the names of all modules in a folder of the main package and of each zoo package."""
    places = [PACKAGE / folder, *(PACKAGE / ZOO / room / folder for room in rooms())]
    return tuple(sorted({file.stem for place in places for file in place.glob("[a-z]*.py")}))


@cache
def data_files(folder: str, suffix: str, parent: str = "") -> tuple[Path, ...]:
    """Return the files with a suffix in a folder of the main package (under ``parent``) and of each zoo package."""
    places = [PACKAGE / parent / folder, *(PACKAGE / ZOO / room / folder for room in rooms())]
    listed = [(place, sorted(os.listdir(place))) for place in places if place.is_dir()]
    return tuple(place / name for place, names in listed for name in names if name.endswith(suffix))
