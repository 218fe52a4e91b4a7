"""Model search by name fragment, layer kind, year and size range. All search words must match.

For example:

    moe >100b          mixtures of experts with more than 100e9 parameters
    llama 2024         models from 2024 with llama in their name
    encoder 100m-1b    encoders with 100e6 to 1e9 parameters
    >=2025             models from 2025 or later
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from ..core.record import NamedTuple
from ..schema.preset_files import files_in, installed_folder, shipped_folder
from .preset_summaries import summary

if TYPE_CHECKING:
    from ..core.architecture import Architecture

INDEX = "search_index.json"  # only packages have one
_SCALES = {"k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_BOUND = re.compile(r"(>=|<=|>|<)([0-9]+(?:\.[0-9]+)?)([kmbt]?)")
_RANGE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmbt])-([0-9]+(?:\.[0-9]+)?)([kmbt])")


class Model(NamedTuple):
    """Searchable attributes of a model."""

    name: str
    title: str
    family: str
    year: int | None
    kind: str
    total: int
    aliases: tuple[str, ...]


def search(words: Sequence[str], presets: Iterable[dict[str, Any]]) -> Iterator[Model]:
    """Return all preset models that match every search word."""
    tests = [_test(word.lower()) for word in words]
    for preset in presets:
        for model in _models(preset):
            if all(test(model) for test in tests):
                yield model


def _test(word: str) -> Callable[[Model], bool]:
    bound, between = _BOUND.fullmatch(word), _RANGE.fullmatch(word)
    if bound:
        compare, limit = _OPERATORS[bound[1]], float(bound[2])
        if bound[3]:
            return lambda model: compare(model.total, limit * _SCALES[bound[3]])
        return lambda model: compare(model.year or 0, limit)
    if between:
        low, high = float(between[1]) * _SCALES[between[2]], float(between[3]) * _SCALES[between[4]]
        return lambda model: low <= model.total <= high
    if word[:1].isdigit():  # 7b is neither in 67b nor in 1.7b
        number = re.compile(rf"(?<![\d.]){re.escape(word)}")
        return lambda model: any(number.search(text.lower()) for text in _texts(model))
    return lambda model: any(word in text.lower() for text in _texts(model))


def _texts(model: Model) -> tuple[str, ...]:
    return (model.name, model.title, model.family, str(model.year), model.kind, *model.aliases)


def _models(preset: dict[str, Any]) -> Iterator[Model]:
    folder, file = os.path.split(preset["file"])
    known = _index().get(file, {}) if folder == installed_folder() else {}
    for size in preset["sizes"] or [None]:
        name, kind, total = known.get(size or "") or described(preset["file"], size)
        names = tuple(alias for alias, meant in preset["aliases"].items() if (meant or preset["default"]) == size)
        yield Model(name, preset["title"], preset["family"], preset["year"], kind, total, names)


@cache
def _index() -> dict[str, dict[str, tuple[str, str, int]]]:
    """Return the descriptions of all models by preset file and size, or an empty mapping in a source checkout."""
    file = os.path.join(installed_folder(), INDEX)
    if not os.path.isfile(file):
        return {}
    import json

    with open(file, encoding="utf-8") as stream:
        return dict(json.load(stream))


def index() -> dict[str, dict[str, tuple[str, str, int]]]:
    """Return the descriptions of all shipped models by preset file and size, as in the index of a package."""
    found = _index()
    for stem, file in () if found else files_in(shipped_folder()).items():
        sizes = summary(stem, file)["sizes"] or [None]
        found = found | {os.path.basename(file): {size or "": described(file, size) for size in sizes}}
    return found


def described(file: str, size: str | None) -> tuple[str, str, int]:
    """Build a model and return its name, its kind and its number of parameters."""
    from ..calc.params import params
    from ..schema.preset import load_file

    architecture = load_file(file, size)
    return architecture.name, kind_of(architecture), params(architecture).total


def stack_roles(architecture: Architecture) -> str:
    """Join the distinct stack roles of a model with hyphens, resulting in a name such as ``encoder-decoder``."""
    return "-".join(dict.fromkeys(stack.role for stack in architecture.stacks))


def kind_of(architecture: Architecture) -> str:
    """Describe a model by its stack roles and distinctive layer kinds, as in ``decoder, moe, window``."""
    from ..core.ledger import entries

    kinds = dict.fromkeys(entry.layer.kind() for entry in entries(architecture) if entry.run is not None)
    common = ("attention", "mlp", "norm")
    windows = any(tuple(entry.layer.sizes("windows")) for entry in entries(architecture))
    return ", ".join(
        [stack_roles(architecture), *(kind for kind in kinds if kind not in common), *(["window"] if windows else [])]
    )
