"""Flat names for fields of parts, such as ``rope_theta`` for ``rope: {theta: ...}``.

Older presets and code use the fields of a part as fields of the layer. The names in ``aliases.PART_FIELDS`` are
still supported in presets, overrides, constructors and attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from .aliases import PART_ABSENT, PART_FIELDS, PART_FLAGS, PART_SHORT_FORMS, PART_WIDTHS
from .errors import DescriptionError, short_repr
from .part import Part, read_part
from .record import MISSING, changed, fields

Path = tuple[str, ...]
# parts that another flat field adds or removes
_SWITCHED = {*PART_FLAGS, *(name for path in PART_SHORT_FORMS.values() for name in path)}
_noticed: list[str] = []  # flat name in the first constructor call that used one; later calls give no warning


@cache
def flat_names(cls: type[Part]) -> dict[str, Path]:
    """Return a mapping from the flat names of a layer kind to the paths of the corresponding fields."""
    found: dict[str, Path] = {PART_FLAGS[part]: (part,) for part in cls.PARTS if PART_FLAGS.get(part, part) != part}
    for part in cls.PARTS:
        found |= {flat: (part, *path) for flat, path in part_fields(cls, part).items()}  # type: ignore[arg-type]
    own = {entry.name for entry in fields(cls)}
    return found | {short: path for short, path in PART_SHORT_FORMS.items() if {*path} <= own}


@cache
def part_fields(cls: type[Part], part: str) -> dict[str, Path]:
    """Return a mapping from flat names to paths within a part, for the fields that the part has in this layer kind."""
    paths = {flat: (*path.split("."),) for flat, path in PART_FIELDS.get(part, {}).items()}
    known = {name for choice in cls.PARTS[part] for name in choice.__match_args__}  # type: ignore[attr-defined]
    return {flat: path for flat, path in paths.items() if path[0] in known}


def current(cls: type[Part], given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert flat names in a constructor call to fields of parts. The first such call in a process emits a
    warning.
    """
    names = flat_names(cls)  # type: ignore[arg-type]
    flat = [name for name in given if name in names and name not in PART_SHORT_FORMS]
    if flat and not _noticed:
        import warnings  # slow to import, and needed only here

        _noticed.append(flat[0])
        text = f"{cls.__name__}: {flat[0]} is now written as a field of {names[flat[0]][0]}"
        warnings.warn(text, DeprecationWarning, stacklevel=4)
    return nested(cls, given)


def nested(cls: type[Part], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return field values with flat fields moved into parts. The flat fields of an absent part are dropped."""
    names = flat_names(cls)  # type: ignore[arg-type]
    found = {name: value for name, value in given.items() if name not in names}
    for short, (field, part, *_) in PART_SHORT_FORMS.items():
        if short in names and short in given:
            is_part = given[short] == part
            found[field] = "none" if is_part else given[short]
            found[part] = (found.get(part) or True) if is_part else None
    for part, flag in PART_FLAGS.items():
        if flag in names and flag in given:
            if type(given[flag]) is not bool:
                raise DescriptionError(f"{flag} must be true or false, not {short_repr(given[flag])}")
            found[part] = (found.get(part) or True) if given[flag] else None
    defaults = {entry.name: entry.default for entry in fields(cls)}
    for part in cls.PARTS:
        paths = part_fields(cls, part)  # type: ignore[arg-type]
        moved = {paths[name]: given[name] for name in given if name in paths}
        given_part = found.get(part, defaults[part])
        if moved and defaults[part] is None and part not in _SWITCHED:
            given_part = _implied(cls.PARTS[part][0], given_part, moved)
            found[part] = given_part
        base = read_part(cls.PARTS[part], given_part, defaults[part], part) if moved else None
        if base is not None:
            found[part] = _with(base, moved)
    return found


def _implied(cls: type[Part], value: Any, moved: Mapping[Path, Any]) -> Any:
    """Return ``value``, or the part that its flat fields in ``moved`` imply, or None if a required field is null."""
    given = {path[0]: item for path, item in moved.items()}
    required = [entry.name for entry in fields(cls) if entry.default is MISSING]
    if any(given.get(name, value or None) is None for name in required):
        return None
    if value or required:
        return value or given
    usual = {entry.name: entry.default for entry in fields(cls)}
    return given if any(item != usual[name] for name, item in given.items()) else None


def _with(part: Part, moved: Mapping[Path, Any]) -> Part:
    """Return a part with new values at the given paths. Values for fields that an inner part lacks are dropped."""
    values: dict[str, Any] = {path[0]: value for path, value in moved.items() if len(path) == 1}
    for name, choices in part.PARTS.items():
        inner = {path[1]: value for path, value in moved.items() if path[0] == name and len(path) > 1}
        current = getattr(part, name)
        if isinstance(values.get(name), str) and values[name] != getattr(current, "kind", str)():
            current = read_part(choices, values[name], field=name)
        elif name in values and not isinstance(values[name], str):
            raise DescriptionError(f"{name} must be a string, not {short_repr(values[name])}")
        known = {entry.name for entry in fields(current)} if current else set()
        inner = {field: value for field, value in inner.items() if field in known}
        values[name] = changed(current, **inner) if inner else current
    return changed(part, **values)


def attribute(layer: Part, name: str) -> Any:
    """Return the value of a flat field, or the default if the layer lacks the part."""
    if name.startswith("__") or name not in flat_names(type(layer)):  # type: ignore[arg-type]
        raise AttributeError(f"{type(layer).__name__} has no attribute {name!r}")
    return next(value for flat, value, _ in flat_fields(layer) if flat == name)


def flat_fields(layer: Part) -> list[tuple[str, Any, Any]]:
    """Return (name, value, default) for all fields, with flat names instead of parts."""
    found: list[tuple[str, Any, Any]] = []
    shorts = {field: (short, part) for short, (field, part) in PART_SHORT_FORMS.items()}
    for name, _, default in fields(layer):
        value = getattr(layer, name)
        if name in shorts and shorts[name][1] in layer.PARTS:
            short, part = shorts[name]
            found.append((short, value if getattr(layer, part) is None else part, default))
        elif name in PART_FIELDS and name in layer.PARTS:
            if default is not None or name in PART_FLAGS:
                found.append((PART_FLAGS.get(name, name), value is not None, default is not None))
            for flat, path in part_fields(type(layer), name).items():  # type: ignore[arg-type]
                usual = _at(default, layer.PARTS[name], path)
                absent = getattr(layer, PART_WIDTHS.get(flat, ""), PART_ABSENT.get(flat, usual))
                found.append((flat, absent if value is None else _at(value, layer.PARTS[name], path), usual))
        else:
            found.append((name, value, default))
    return found


def _at(part: Part | None, choices: tuple[type[Part], ...], path: Path) -> Any:
    """Return the value at a path in a part, or the default of the first choice with a matching field."""
    first, *rest = path
    holder = part if part is not None and first in part.__match_args__ else None  # type: ignore[attr-defined]
    owner = type(holder) if holder else next(cls for cls in choices if first in cls.__match_args__)  # type: ignore[attr-defined]
    value = getattr(holder or owner, first, None)
    if first not in owner.PARTS:
        return value
    return _at(value, owner.PARTS[first], (*rest,)) if rest else value.kind() if value else "none"
