"""Overrides such as ``n_layers=12`` that change a variable or any key of an architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import DescriptionError, UnknownNameError, short_repr
from ..core.part import is_integer
from .plain_data import read_scalar

_MAX_SUGGESTIONS = 20
_TYPES = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


class ValueOverride(str):
    """An override whose value is an object, such as a traced integer."""

    path: str
    value: Any

    def __new__(cls, path: str, value: Any) -> ValueOverride:
        """Create an override of a path."""
        found = str.__new__(cls, path)
        found.path, found.value = path, value
        return found


def split_override(text: str) -> tuple[str, Any]:
    """Split ``path=value`` into the path and the value."""
    if isinstance(text, ValueOverride):
        return text.path, text.value
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        message = f"invalid override {short_repr(text)}; use path=value, such as n_layers=12"
        raise DescriptionError(message, parameter="overrides")
    try:
        return path.strip(), read_scalar(value.strip())
    except DescriptionError as error:
        raise error.at(path.strip(), parameter="overrides") from None


def apply_overrides(
    template: Mapping[str, Any], variables: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the architecture and its variables with all overrides applied."""
    changed, values = (_copy(template) if overrides else dict(template)), dict(variables)
    for text in overrides:
        path, value = split_override(text)
        if path in values:
            check_type(path, values[path], value)
            values[path] = value
        elif "." in path:
            _set_at(changed, path, value)
        else:
            hint = f"variables: {', '.join(values)}"
            raise UnknownNameError("variable", path, values, parameter="overrides", hint=hint)
    return changed, values


def _copy(data: Any) -> Any:
    """Return a deep copy that duplicates values shared by YAML aliases."""
    if isinstance(data, Mapping):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(value) for value in data] if isinstance(data, list) else data


def check_type(path: str, old: Any, new: Any) -> None:
    """Check that ``new`` can replace ``old``. Any value can replace null or an expression."""
    if isinstance(old, str) and old.startswith("$"):
        return
    same = type(old) is type(new) or (type(old) in (int, float) and is_integer(new))
    if old is not None and new is not None and not same and not isinstance(old, (dict, list)):
        message = f"{path} must be {_TYPES.get(type(old), 'of another type')}, not {short_repr(new)}"
        raise DescriptionError(message, parameter="overrides")


def _set_at(data: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    above = ""
    for key in parents:
        data = data[_key_in(data, key, above, path)]
        above = f"{above}.{key}" if above else key
        if not isinstance(data, dict | list):
            raise DescriptionError(f"{above} is neither a mapping nor a list", parameter="overrides", where=path)
    if isinstance(data, list):
        data[_key_in(data, last, above, path)] = value
    else:  # a new key is checked when the architecture is built
        check_type(path, data.get(last), value)
        data[last] = value


def _key_in(data: dict[str, Any] | list[Any], key: str, above: str, path: str) -> Any:
    """Return a mapping key or list index after checking that it exists."""
    if isinstance(data, list) and key.isdecimal() and int(key) < len(data):
        return int(key)
    if not isinstance(data, list) and key in data:
        return key
    keys = [*map(str, range(len(data)))] if isinstance(data, list) else list(data)
    hint = f"keys of {above or 'the architecture'}: {', '.join(keys[:_MAX_SUGGESTIONS])}"
    raise UnknownNameError("key", key, keys, parameter="overrides", where=path, hint=hint)
