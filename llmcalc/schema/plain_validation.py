"""Validation of plain data against a JSON Schema.

pydantic generates the schemas from its models. Presets are validated against the one that is shipped, so that this
needs no pydantic, which a browser does not have.
"""

from __future__ import annotations

import json
import operator
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from math import isfinite
from typing import Any

from ..core.errors import DescriptionError, InputError, UnknownNameError, short_repr
from .preset_files import shipped_folder

Path = tuple[Any, ...]
PERCENTAGE = r"^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?%$"
RESULT_KEY = r"^(maybe )?([a-z]+(?: or [a-z]+)*): (.+)$"  # such as "maybe integer or null: meaning"
TYPES: dict[str, tuple[str, tuple[type, ...]]] = {  # type in a schema: how an error calls it, and types of values
    "string": ("a string", (str,)),
    "integer": ("an integer", (int,)),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", (bool,)),
    "array": ("a list", (list,)),
    "object": ("a mapping", (dict,)),
    "null": ("", (type(None),)),  # which no error offers
}
BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (operator.ge, "greater than or equal to"),
    "exclusiveMinimum": (operator.gt, "greater than"),
    "maximum": (operator.le, "less than or equal to"),
    "exclusiveMaximum": (operator.lt, "less than"),
}


class _MismatchError(DescriptionError):
    """A value that is not what is ``expected``, such as a string."""

    expected = ""


def validate_preset(data: Any) -> None:
    """Validate the keys of a preset except its architecture.

    Raises:
        InputError: an unknown, missing or invalid key.
    """
    validate(_preset_schema(), data)
    sizes = list(data.get("sizes") or ())
    for key in ("expect", "facts", "checkpoint", "encoder", "prediction"):
        for size in data.get(key) or ():
            _check_size(size, [*sizes, *([] if key == "expect" else ["all"])], (key, size))
    for name, size in (data.get("aliases") or {}).items():
        _check_size(size, sizes, ("aliases", name))


def _check_size(size: Any, known: list[str], path: Path) -> None:
    if size is not None and str(size) not in known:
        raise UnknownNameError("size", size, known).under(path)


@cache
def _preset_schema() -> Any:
    with open(os.path.join(shipped_folder(), "preset.schema.json"), encoding="utf-8") as stream:
        schema = json.load(stream)
    schema["properties"]["architecture"] = {"anyOf": [{"type": "object"}, {"type": "null"}]}
    return schema


def validate(schema: Mapping[str, Any], data: Any) -> None:
    """Validate plain data.

    Raises:
        InputError: an unknown, missing or invalid key.
    """
    _check(schema, data, (), schema.get("$defs", {}))


def _check(schema: Mapping[str, Any], data: Any, path: Path, definitions: Mapping[str, Any]) -> None:
    if "$ref" in schema:
        _check(definitions[schema["$ref"].rpartition("/")[2]], data, path, definitions)
    elif "discriminator" in schema:
        _check(_chosen(schema["discriminator"], data, path), data, path, definitions)
    elif "anyOf" in schema:
        _check_any(schema["anyOf"], data, path, definitions)
    elif schema:
        _check_value(schema, data, path)
        for key, inner in _inner(schema, data, path):
            _check(inner, data[key], (*path, key), definitions)


def _chosen(discriminator: Mapping[str, Any], data: Any, path: Path) -> Mapping[str, Any]:
    """Return the alternative that a key of a mapping selects."""
    key, choices = discriminator["propertyName"], discriminator["mapping"]
    if not isinstance(data, dict):
        raise _wrong("a mapping", data, path)
    if key not in data:
        raise DescriptionError(f"missing key {key!r}").under(path)
    if not isinstance(data[key], str) or data[key] not in choices:
        raise _unknown(key, data[key], list(choices)).under((*path, key))
    return {"$ref": choices[data[key]]}


def _check_any(schemas: list[Any], data: Any, path: Path, definitions: Mapping[str, Any]) -> None:
    """Check that data matches one of several schemas. The error is that of the alternative that matches best."""
    found: list[InputError] = []
    for schema in schemas:
        try:
            return _check(schema, data, path, definitions)
        except InputError as error:
            found.append(error)
    others = [error for error in found if not (isinstance(error, _MismatchError) and error.path == path)]
    if others:
        raise max(others, key=lambda error: len(error.path or ()))
    expected = dict.fromkeys(error.expected for error in found if isinstance(error, _MismatchError))
    raise _wrong(" or ".join(filter(None, expected)), data, path)


def _check_value(schema: Mapping[str, Any], data: Any, path: Path) -> None:
    """Check the type of a value, its choices, and the bounds of a number or of a length."""
    expected, types = TYPES[schema["type"]]
    if "enum" in schema and data not in schema["enum"]:
        raise _unknown(".".join(map(str, path)), data, schema["enum"]).under(path)
    is_of_type = isinstance(data, types) and isinstance(data, bool) == (schema["type"] == "boolean")
    if not is_of_type:
        raise _wrong(expected, data, path)
    if isinstance(data, float) and not isfinite(data):
        raise _wrong("a finite number", data, path)
    for key, (is_within, text) in BOUNDS.items():
        if key in schema and not is_within(data, schema[key]):
            raise _wrong(f"{text} {schema[key]}", data, path)
    if "pattern" in schema and not re.search(schema["pattern"], data):
        is_percentage = schema["pattern"] == PERCENTAGE
        raise _wrong("a percentage such as 0.5%" if is_percentage else f"of the form {schema['pattern']}", data, path)
    if "minLength" in schema and not data:
        raise _wrong("a non-empty string", data, path)
    if "minItems" in schema and not schema["minItems"] <= len(data) <= schema["maxItems"]:
        raise _wrong(f"a list of {schema['minItems']} to {schema['maxItems']} values", data, path)


def _inner(schema: Mapping[str, Any], data: Any, path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield the keys of a mapping or a list with the schema of each value."""
    if isinstance(data, list):
        yield from enumerate(schema.get("prefixItems") or [schema.get("items", {})] * len(data))
    if not isinstance(data, dict):
        return
    known, more = schema.get("properties"), schema.get("additionalProperties", {})
    names = schema.get("propertyNames", {}).get("enum", known)
    for key in data:
        if names is None and not isinstance(key, str):
            raise _wrong("a string", key, (*path, key))
        if names is not None and key not in names:
            raise UnknownNameError("key", key, names).under((*path, key))
    for key in schema.get("required", ()):
        if key not in data:
            raise DescriptionError(f"missing key {key!r}").under(path)
    yield from ((key, more if known is None else known[key]) for key in data)


def _wrong(expected: str, data: Any, path: Path) -> InputError:
    name = ".".join(map(str, path)) or "the file"
    found = _MismatchError(f"{name} must be {expected}, not {short_repr(data)}")
    found.expected = expected
    return found.under(path)


def _unknown(name: str, value: Any, known: list[str]) -> InputError:
    return UnknownNameError(name, value, known, hint=f"use one of {', '.join(known)}")
