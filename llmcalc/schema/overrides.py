"""Overrides ``path=value``: change a variable of a preset, or any key of its architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import DescriptionError, UnknownNameError, shown
from .plain_data import read_scalar

_MOST_SHOWN = 20
_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def split_override(text: str) -> tuple[str, Any]:
    """``path=value`` in two.

    Raises:
        DescriptionError: no ``=`` or an empty path.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise DescriptionError(f"{shown(text)} should read path=value, such as n_layers=12", parameter="overrides")
    try:
        return path.strip(), read_scalar(value.strip())
    except DescriptionError as error:
        raise error.at(path.strip(), parameter="overrides") from None


def apply_overrides(
    template: Mapping[str, Any], variables: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The architecture and its variables with every override applied."""
    changed, values = (_copy(template) if overrides else dict(template)), dict(variables)
    for text in overrides:
        path, value = split_override(text)
        if path in values:
            check_type(path, values[path], value)
            values[path] = value
        elif "." in path:
            _set_at(changed, path, value)
        else:
            raise UnknownNameError(
                "variable", path, values, parameter="overrides", hint=f"variables: {', '.join(values)}"
            )
    return changed, values


def _copy(data: Any) -> Any:
    """A deep copy in which nothing is shared any more, not even what a YAML alias repeats."""
    if isinstance(data, Mapping):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(value) for value in data] if isinstance(data, list) else data


def check_type(path: str, old: Any, new: Any) -> None:
    """Raise unless ``new`` can stand where ``old`` stood; None and an expression stand for anything."""
    if isinstance(old, str) and old.startswith("$"):
        return
    same = type(old) is type(new) or (type(old) is float and type(new) is int)
    if old is not None and new is not None and not same and not isinstance(old, (dict, list)):
        raise DescriptionError(
            f"{path} is {_TYPES.get(type(old), 'something else')}, not {shown(new)}", parameter="overrides"
        )


def _set_at(data: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    above = ""
    for key in parents:
        data = data[_key_in(data, key, above, path)]
        above = f"{above}.{key}" if above else key
        if not isinstance(data, dict | list):
            raise DescriptionError(f"{above} has no parts", parameter="overrides", where=path)
    if isinstance(data, list):
        data[_key_in(data, last, above, path)] = value
        return
    if last in data:
        check_type(path, data[last], value)
    data[last] = value  # a new key: whatever reads it knows whether there is such a field


def _key_in(data: dict[str, Any] | list[Any], key: str, above: str, path: str) -> Any:
    """The key, or the index in a list, if it is there."""
    if isinstance(data, list):
        if key.isdecimal() and int(key) < len(data):
            return int(key)
        keys = [str(index) for index in range(len(data))]
    elif key in data:
        return key
    else:
        keys = list(data)
    hint = f"below {above or 'the architecture'}: {', '.join(keys[:_MOST_SHOWN])}"
    raise UnknownNameError("key", key, keys, parameter="overrides", where=path, hint=hint)
