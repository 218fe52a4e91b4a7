"""Flat names for fields of parts, such as ``rope_theta`` for ``rope: {theta: ...}``.

Older presets and code use the fields of a part as fields of the layer. The names in ``aliases.PART_FIELDS`` are
still supported in presets, overrides, constructors and attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from .aliases import (
    PART_ABSENT,
    PART_BOUND,
    PART_FIELDS,
    PART_FLAGS,
    PART_SHORT_FORMS,
    PART_SWITCHES,
    PART_WIDTHS,
)
from .errors import DescriptionError, SizeError, short_repr
from .part import Part, read_part
from .record import MISSING, NamedTuple, changed, fields

Path = tuple[str, ...]
_noticed: list[str] = []  # flat name in the first constructor call that used one; later calls give no warning


class Names(NamedTuple):
    """Names that a layer kind accepts in addition to its fields."""

    short_forms: dict[str, tuple[str, str]]  # field whose choice the name sets, and part that a choice stands for
    flags: dict[str, tuple[str, Any]]  # part that the flag adds or removes, and the value that stands for the part
    fields: dict[str, Path]  # path of a field of a part

    def has(self, name: str) -> bool:
        """Return whether a name is a flat name."""
        return any(name in table for table in self)

    def part(self, name: str) -> str:
        """Return the part that a flat name belongs to, or an empty string for short forms."""
        return (self.flags.get(name) or self.fields.get(name) or ("",))[0]


@cache
def flat_names(cls: type[Part]) -> Names:
    """Return the flat names of a layer kind. The kind's own fields have priority."""
    own = {entry.name for entry in fields(cls)}
    paths: dict[str, Path] = {}
    for part, choices in cls.PARTS.items():
        known = {name for choice in choices for name in choice.__match_args__} if type(choices) is tuple else None
        for flat, path in PART_FIELDS.get(part, {}).items():
            first, *rest = path.split(".")
            if flat not in own and (known is None or first in known):
                paths[flat] = (part, first, *rest)
    flags = {flag: (part, usual) for flag, (part, usual) in PART_FLAGS.items() if part in cls.PARTS and flag not in own}
    short_forms = {short: path for short, path in PART_SHORT_FORMS.items() if {*path} <= own}
    return Names(short_forms, flags, paths)


def current(cls: type[Part], given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert flat names in a constructor call to fields of parts. The first such call in a process emits a
    warning.
    """
    names = flat_names(cls)  # type: ignore[arg-type]
    flat = [name for name in given if names.part(name)]
    if flat and not _noticed:
        import warnings  # slow to import, and needed only here

        _noticed.append(flat[0])
        text = f"{cls.__name__}: {flat[0]} is now written as a field of {names.part(flat[0])}"
        warnings.warn(text, DeprecationWarning, stacklevel=4)
    return nested(cls, given)


def nested(cls: type[Part], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return field values with flat fields moved into parts. The flat fields of an absent part are dropped."""
    names = flat_names(cls)  # type: ignore[arg-type]
    found = {name: value for name, value in given.items() if not names.has(name)}
    for short in given.keys() & names.short_forms.keys():
        field, part = names.short_forms[short]
        is_part = given[short] == part
        found[field] = None if is_part else given[short]
        found[part] = (found.get(part) or True) if is_part else None
    for flag in given.keys() & names.flags.keys():
        if type(given[flag]) is not bool:
            raise DescriptionError(f"{flag} must be true or false, not {short_repr(given[flag])}")
        part, usual = names.flags[flag]
        if given[flag] is (usual is not False):
            found[part] = found.get(part) or usual or True
        elif type(usual) is bool:
            found[part] = None
    defaults = {entry.name: entry.default for entry in fields(cls)}
    for part in cls.PARTS:
        moved = {path[1:]: given[name] for name, path in names.fields.items() if path[0] == part and name in given}
        if moved:
            value = found.get(part, defaults[part])
            value = _implied(cls.PARTS[part][0], value, moved) if _is_implied(cls, part) else value
            found[part] = _combined(cls.PARTS[part], value, moved, defaults[part], part)
    for name in given.keys() & names.fields.keys() & {*PART_BOUND}:
        _check_bound(cls, name, names.fields[name], given[name], found)
    return found


def _check_bound(cls: type[Part], name: str, path: Path, value: object, found: Mapping[str, Any]) -> None:
    """Raise a SizeError if a flat field has a value other than its default, but no part has this field."""
    holder, usual = found.get(path[0]), _at(None, cls.PARTS[path[0]], [*path[1:]])
    if value != usual and not hasattr(holder, path[1]):
        raise SizeError(f"{name} requires {path[0]}", where=cls.kind(), field=name)


def _is_implied(cls: type[Part], part: str) -> bool:
    """Return whether flat fields of the part imply that the layer has the part, because no other flat name does."""
    named = {*PART_SWITCHES, *(part for part, _ in PART_FLAGS.values())}
    named |= {name for path in PART_SHORT_FORMS.values() for name in path}
    choices = cls.PARTS[part]
    return part not in named and getattr(cls, part) is None and len(choices) == 1 and not choices[0].SHORT


def _implied(cls: type[Part], value: Any, moved: Mapping[Path, Any]) -> Any:
    """Return ``value``, or True if the fields in ``moved`` require a part, or None if they leave an empty part.

    The required fields of a part decide if there are any. Otherwise, all fields do.
    """
    defaults = {entry.name: None if entry.default is MISSING else entry.default for entry in fields(cls)}
    deciding = [entry.name for entry in fields(cls) if entry.default is MISSING] or [*defaults]
    given = {path[0]: item for path, item in moved.items() if path[0] in deciding}
    current = {name: getattr(value, name) for name in deciding} if isinstance(value, Part) else {}
    is_set = any(item != defaults[name] for name, item in (current | given).items())
    if isinstance(value, Part):
        return value if is_set or not given else None
    return value or is_set or None


def _combined(
    choices: Sequence[type[Part]], value: Any, moved: Mapping[Path, Any], usual: Any, name: str
) -> Part | None:
    """Return the part ``value`` with new values at the given paths."""
    if len(choices) == 1 and not isinstance(value, Part):
        plain = {path[0]: item for path, item in moved.items() if len(path) == 1 and path[0] not in choices[0].PARTS}
        if choices[0].SHORT and not isinstance(value, Mapping | bool | None) and value != choices[0].ABSENT:
            value = {choices[0].SHORT: value}
        value = {**({} if value is True else value), **plain} if value is True or isinstance(value, Mapping) else value
    base = read_part(choices, value, usual if isinstance(usual, Part) else None, name)
    return _with(base, moved) if base else None


def _with(part: Part, moved: Mapping[Path, Any]) -> Part:
    """Return a part with new values at the given paths. Values for fields that the part lacks are dropped."""
    values: dict[str, Any] = {path[0]: value for path, value in moved.items() if len(path) == 1}
    values = {name: value for name, value in values.items() if name in part.__match_args__}  # type: ignore[attr-defined]
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
    names = flat_names(type(layer))  # type: ignore[arg-type]
    if name in names.fields:
        try:
            return _flat_value(layer, name, names.fields[name])
        except StopIteration:  # no part that the layer can have has this field
            pass
    if name in names.flags:
        part, usual = names.flags[name]
        return _is_flagged(getattr(layer, part), usual)
    if name in names.short_forms:
        field, part = names.short_forms[name]
        return _word(getattr(layer, field)) if getattr(layer, part) is None else part
    raise AttributeError(f"{type(layer).__name__} has no attribute {name!r}")


def _flat_value(layer: Part, name: str, path: Path) -> Any:
    part, *rest = path
    value = getattr(layer, part)
    if value is not None:
        return _at(value, layer.PARTS[part], rest)
    width = getattr(layer, PART_WIDTHS[name], None) if name in PART_WIDTHS else None
    return PART_ABSENT.get(name, _at(None, layer.PARTS[part], rest)) if width is None else width


def flat_fields(layer: Part) -> list[tuple[str, Any, Any]]:
    """Return (name, value, default) for all fields, with flat names instead of parts."""
    found: list[tuple[str, Any, Any]] = []
    names = flat_names(type(layer))  # type: ignore[arg-type]
    shorts = {field: short for short, (field, _) in names.short_forms.items()}
    for name, _, default in fields(layer):
        value, choices = getattr(layer, name), layer.PARTS.get(name, ())
        if name in shorts:
            found.append((shorts[name], attribute(layer, shorts[name]), "none"))
        elif not choices:
            found.append((name, value, default))
        elif name in PART_SWITCHES or default is not None:
            usual = getattr(choices[0], choices[0].SHORT) if choices[0].SHORT else True
            found.append((name, _is_flagged(value, usual), default is not None))
        elif choices[0].SHORT:
            absent = choices[0].ABSENT
            found.append((name, absent if value is None else getattr(value, choices[0].SHORT), absent))
        found += [
            (flag, _is_flagged(value, usual), usual is False)
            for flag, (part, usual) in names.flags.items()
            if part == name
        ]
        known = {field for choice in choices for field in choice.__match_args__}  # type: ignore[attr-defined]
        for flat, path in names.fields.items():
            if path[0] == name and path[1] in known:
                found.append((flat, _flat_value(layer, flat, path), _at(default, choices, [*path[1:]])))
    return found


def _at(part: Part | None, choices: Sequence[type[Part]], path: list[str]) -> Any:
    """Return the value at a path in a part, or the default of the first choice with a matching field."""
    first, *rest = path
    holder = part if part is not None and first in part.__match_args__ else None  # type: ignore[attr-defined]
    owner = type(holder) if holder else next(cls for cls in choices if first in cls.__match_args__)  # type: ignore[attr-defined]
    value = getattr(holder or owner, first, None)
    if first not in owner.PARTS:
        return value
    return _at(value, owner.PARTS[first], rest) if rest else _word(value)


def _is_flagged(part: Part | None, usual: Any) -> bool:
    """Return whether a flag that stands for ``usual`` is set. False stands for the absence of the part."""
    if part is None or type(usual) is bool:
        return (part is not None) is (usual is not False)
    return bool(getattr(part, part.SHORT) == usual)


def _word(part: Part | None) -> str:
    return part.kind() if part else "none"
