"""Validation of a preset against the shipped JSON Schema, for a Python without pydantic, such as that of a browser.

The schema is generated from the pydantic models, and the errors have the same texts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from math import isfinite
from typing import Any

from ..core.errors import DescriptionError, InputError, UnknownNameError, short_repr
from .preset_files import shipped_folder

Path = tuple[Any, ...]
TYPES: dict[str, tuple[str, tuple[type, ...]]] = {  # type in a schema: how an error calls it, and types of values
    "string": ("a string", (str,)),
    "integer": ("an integer", (int,)),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", (bool,)),
    "array": ("a list", (list,)),
    "object": ("a mapping", (dict,)),
}


class _MismatchError(DescriptionError):
    """A value that is not what is ``expected``, such as a string."""

    expected = ""


def check_by_schema(data: Any) -> None:
    """Validate the keys of a preset except its architecture.

    Raises:
        InputError: an unknown, missing or invalid key.
    """
    schema = _schema()
    _check(schema, data, (), schema["$defs"])
    check_sizes(data)


def check_sizes(data: Mapping[str, Any]) -> None:
    """Check that figures, facts, checkpoints, encoders and aliases refer to existing sizes."""
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
def _schema() -> Any:
    with open(os.path.join(shipped_folder(), "preset.schema.json"), encoding="utf-8") as stream:
        schema = json.load(stream)
    schema["properties"]["architecture"] = {"anyOf": [{"type": "object"}, {"type": "null"}]}
    return schema


def _check(schema: Mapping[str, Any], data: Any, path: Path, definitions: Mapping[str, Any]) -> None:
    if "$ref" in schema:
        _check(definitions[schema["$ref"].rpartition("/")[2]], data, path, definitions)
    elif "discriminator" in schema:
        _check(_chosen(schema["discriminator"], data, path), data, path, definitions)
    elif "anyOf" in schema:
        _check_any(schema["anyOf"], data, path, definitions)
    else:
        _check_type(schema, data, path)
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
    if data is None and {"type": "null"} in schemas:
        return
    expected: dict[str, None] = {}
    found: list[InputError] = []
    for schema in schemas:
        try:
            _check(schema, data, path, definitions)
        except _MismatchError as error:
            if error.path == path:
                expected[error.expected] = None
            else:
                found.append(error)
        except InputError as error:
            found.append(error)
        else:
            return
    if found:
        raise max(found, key=lambda error: len(error.path or ()))
    raise _wrong(" or ".join(filter(None, expected)), data, path)


def _check_type(schema: Mapping[str, Any], data: Any, path: Path) -> None:
    name = schema.get("type", "null")
    expected, types = TYPES.get(name, ("", ()))
    if "enum" in schema and data not in schema["enum"]:
        raise _unknown(".".join(map(str, path)), data, schema["enum"]).under(path)
    if not isinstance(data, types) or (isinstance(data, bool) and name != "boolean"):
        raise _wrong(expected, data, path)
    if isinstance(data, float) and not isfinite(data):
        raise _wrong("a finite number", data, path)
    if "minimum" in schema and data < schema["minimum"]:
        raise _wrong(f"greater than or equal to {schema['minimum']}", data, path)
    if "exclusiveMinimum" in schema and data <= schema["exclusiveMinimum"]:
        raise _wrong(f"greater than {schema['exclusiveMinimum']}", data, path)
    if "pattern" in schema and not re.search(schema["pattern"], str(data)):
        raise _wrong("a percentage such as 0.5%", data, path)
    if len(data) < schema.get("minLength", 0) if isinstance(data, str) else False:
        raise _wrong("a non-empty string", data, path)


def _inner(schema: Mapping[str, Any], data: Any, path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield the keys of a mapping or a list with the schema of each value."""
    if isinstance(data, list):
        yield from ((at, schema.get("items", {})) for at in range(len(data) if "items" in schema else 0))
    if not isinstance(data, dict):
        return
    known, more = schema.get("properties"), schema.get("additionalProperties")
    for key in data:
        if known is None and not isinstance(key, str):
            raise _wrong("a string", key, (*path, key))
        if known is not None and key not in known:
            raise UnknownNameError("key", key, known).under((*path, key))
    for key in schema.get("required", ()):
        if key not in data:
            raise DescriptionError(f"missing key {key!r}").under(path)
    yield from ((key, known[key] if known is not None else more) for key in data if known is not None or more)


def _wrong(expected: str, data: Any, path: Path) -> InputError:
    name = ".".join(map(str, path)) or "the file"
    found = _MismatchError(f"{name} must be {expected}, not {short_repr(data)}")
    found.expected = expected
    return found.under(path)


def _unknown(name: str, value: Any, known: list[str]) -> InputError:
    return UnknownNameError(name, value, known, hint=f"use one of {', '.join(known)}")
