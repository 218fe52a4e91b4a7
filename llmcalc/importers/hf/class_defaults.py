"""Defaults and names of the keys that transformers classes read."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import cache
from typing import Any

from ...core.record import MISSING
from ...data import FOLDER, table

_NO_SIZES = ("_id", "_index", "_token")  # ends of integer keys that are not sizes


def class_keys(model_type: str) -> Collection[str]:
    """Return the keys of a transformers class that have default values."""
    return class_defaults(model_type)[0].keys()


def is_irrelevant(key: str) -> bool:
    """Return whether a key affects neither the parameter count nor the computation of any family."""
    return key in irrelevant_keys()[0]


@cache
def irrelevant_keys() -> tuple[frozenset[str], frozenset[str]]:
    """Return the set of keys that are always irrelevant, and the set of keys that are irrelevant if disabled."""
    keys = table("config_keys")
    always = frozenset(key for group in keys["irrelevant"].values() for key in group)
    return always, frozenset(keys["irrelevant_if_off"])


def is_foreign_key(key: str, model_type: str) -> bool:
    """Return whether older versions of transformers wrote a key that the transformers class of a type never reads."""
    foreign = is_transformers_class(model_type) and key not in class_keys(model_type)
    return foreign and key in table("config_keys")["irrelevant_if_foreign"]


@cache
def all_class_keys() -> frozenset[str]:
    """Return the keys of all transformers classes, including aliases."""
    types = (os.path.splitext(file)[0] for file in os.listdir(os.path.join(FOLDER, "hf")))
    return frozenset(key for name in types for keys in class_defaults(name)[:2] for key in keys)


@cache
def released_keys() -> frozenset[str]:
    """Return the keys of all transformers classes and draft models, and other keys of published configs."""
    keys, unknown = table("config_keys"), table("unknown_keys")
    groups = (*irrelevant_keys(), keys["multi_token_prediction"], keys["draft_models"]["keys"], unknown["released"])
    by_name = (unknown["synonyms"], *unknown["synonyms"].values(), *unknown["stated"].values())
    return all_class_keys().union(*groups, *by_name)


@cache
def size_keys(model_type: str) -> frozenset[str]:
    """Return the keys of a transformers class whose default values are sizes."""
    defaults, irrelevant = class_defaults(model_type)[0], irrelevant_keys()[0]
    sizes = (key for key, value in defaults.items() if type(value) is int and not key.endswith(_NO_SIZES))
    return frozenset(sizes) - irrelevant


@cache
def ignored_keys(model_type: str) -> dict[str, Any]:
    """Return the keys that the transformers class ignores, with the values that it has instead if they are known."""
    keys: dict[str, Any] = table("config_keys")["ignored"]
    found = {key: types for key, types in keys.items() if model_type in types}
    return {key: types[model_type] if isinstance(types, dict) else MISSING for key, types in found.items()}


def is_transformers_class(model_type: str) -> bool:
    """Return whether a type has a class in transformers, rather than only one that was published with a checkpoint."""
    return "nullable" in _class_data(model_type)


@cache
def class_defaults(model_type: str) -> tuple[dict[str, Any], dict[str, str], frozenset[str]]:
    """Return the default values and key aliases of a transformers class, and the keys that must not be null."""
    data = _class_data(model_type)
    if not data:
        return {}, {}, frozenset()
    aliases = data["aliases"]
    renamed = {own: data["defaults"][key] for key, own in aliases.items() if key in data["defaults"]}
    defaults = renamed | {key: value for key, value in data["defaults"].items() if key not in aliases}
    nullable = data.get("nullable", data["defaults"])  # unknown for other classes
    required = (key for key, value in data["defaults"].items() if value is not None and key not in nullable)
    return defaults, aliases, frozenset(aliases.get(key, key) for key in required if not is_irrelevant(key))


@cache
def _class_data(model_type: str) -> dict[str, Any]:
    import json

    file = os.path.join(FOLDER, "hf", f"{model_type}.json")
    if not os.path.isfile(file):
        return {}
    with open(file, encoding="utf-8") as stream:
        found: dict[str, Any] = json.load(stream)
    return found
