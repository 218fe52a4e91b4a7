"""``--set path=value``: change a variable of a preset, or any key of its architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import DescriptionError, UnknownNameError, shown
from .scalars import read_scalar

_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def split_override(text: str) -> tuple[str, Any]:
    """``path=value`` in two.

    Raises:
        DescriptionError: no ``=`` or an empty path.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise DescriptionError(f"{shown(text)} should read path=value, such as n_layers=12", where="--set")
    try:
        return path.strip(), read_scalar(value.strip())
    except DescriptionError as error:
        raise error.at(f"--set {path.strip()}") from None


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
            raise UnknownNameError("variable", path, values, where="--set", hint=f"variables: {', '.join(values)}")
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
        raise DescriptionError(f"{path} is {_TYPES.get(type(old), 'something else')}, not {shown(new)}", where="--set")


def _set_at(data: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for depth, key in enumerate(parents):
        if isinstance(data, list) and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
        elif isinstance(data, dict) and key in data:
            data = data[key]
        else:
            keys = [str(index) for index in range(len(data))] if isinstance(data, list) else list(data or ())
            hint = f"below {'.'.join(parents[:depth]) or 'the architecture'} stand: {', '.join(keys[:20])}"
            raise UnknownNameError("path", path, keys, where="--set", hint=hint)
        if not isinstance(data, (dict, list)):
            raise DescriptionError(f"{'.'.join(parents[: depth + 1])} has no parts", where="--set")
    if isinstance(data, list):
        if not last.isdigit() or int(last) >= len(data):
            raise UnknownNameError("path", path, map(str, range(len(data))), where="--set")
        data[int(last)] = value
        return
    if last in data:
        check_type(path, data[last], value)
    data[last] = value
