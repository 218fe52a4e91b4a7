"""Frozen dataclasses that cost nothing to make.

The standard ones compile half a dozen functions per class each time a program starts, and import ``inspect`` for it: a
fifth of the time that a short command takes. ``@record`` reads annotations as ``dataclass(frozen=True)`` does, type
checkers take it for that, and the functions of ``dataclasses`` (``fields``, ``replace`` ...) work on records.

>>> @record
... class Point:
...     x: int
...     y: int = 0
>>> Point(1), Point(x=1) == Point(1, 0), hash(Point(1)) == hash(Point(1, 0))
(Point(x=1, y=0), True, True)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeVar, dataclass_transform

Class = TypeVar("Class", bound=type)
Record = TypeVar("Record")
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()


class Field(NamedTuple):
    """A field of a record; ``default`` is MISSING where a value must be given, ``type`` the annotation's text."""

    name: str
    type: str
    default: Any


@dataclass_transform(frozen_default=True)
def record(cls: Class) -> Class:
    """Make a class a record: its annotated names are its fields, after those of its bases; class variables are not."""
    found = {field.name: field for base in reversed(cls.__mro__) for field in vars(base).get("__fields__", ())}
    own = vars(cls)
    annotations: dict[str, str] = own.get("__annotations__", {})
    for name, kind in annotations.items():
        if not kind.startswith("ClassVar"):
            found[name] = Field(name, kind, own.get(name, MISSING))
    defaults = {field.name: field.default for field in found.values() if field.default is not MISSING}
    added: dict[str, Any] = {
        "__fields__": tuple(found.values()),
        "__match_args__": tuple(found),
        "__defaults__": defaults,
        "__dataclass_fields__": _Standard(),
    }
    for name, value in (added | _METHODS).items():
        if name not in own:
            setattr(cls, name, value)
    return cls


def fields(of: Any) -> tuple[Field, ...]:
    """The fields of a record or of its class; those of a standard dataclass likewise."""
    own = getattr(of, "__fields__", None)
    if own is None:
        import dataclasses

        own = tuple(
            Field(entry.name, str(entry.type), MISSING if entry.default is dataclasses.MISSING else entry.default)
            for entry in dataclasses.fields(of)
        )
    found: tuple[Field, ...] = own
    return found


def changed(of: Record, **values: Any) -> Record:
    """The same record with some other values; ``dataclasses.replace`` for those who do without that module.

    >>> @record
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> changed(Point(1, 2), y=3)
    Point(x=1, y=3)
    """
    own = of.__dict__
    return type(of)(**{field.name: own[field.name] for field in fields(of)} | values)


def is_record(value: object) -> bool:
    """Whether a value is a record or a standard dataclass."""
    return hasattr(type(value), "__fields__") or hasattr(type(value), "__dataclass_fields__")


def _init(self: Any, *values: Any, **named: Any) -> None:
    names, given = self.__match_args__, self.__dict__
    given.update(self.__defaults__)
    given.update(zip(names, values, strict=False))
    given.update(named)
    if len(given) != len(names) or len(values) > len(names) or (named and not _fit(names[len(values) :], named)):
        _explain(self, values, named)
    finish = getattr(self, "__post_init__", None)
    if finish:
        finish()


def _fit(free: tuple[str, ...], named: dict[str, Any]) -> bool:
    """Whether the fields that are named are among those that no position has given."""
    return all(name in free for name in named)


def _explain(self: Any, values: tuple[Any, ...], named: dict[str, Any]) -> NoReturn:
    """What is wrong with the values that a record was given."""
    own, kind = self.__fields__, type(self).__name__
    if len(values) > len(own):
        raise TypeError(f"{kind} has {len(own)} fields, not {len(values)}")
    free = own[len(values) :]
    for name, _, default in free:
        if default is MISSING and name not in named:
            raise TypeError(f"{kind} lacks its field {name!r}")
    wrong = next(name for name in named if name not in {field.name for field in free})
    raise TypeError(f"{kind} has no field {wrong!r}, or it is given twice")


def _unchangeable(self: Any, name: str, *value: object) -> NoReturn:
    raise AttributeError(f"{name!r} of a {type(self).__name__} does not change")


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(map(self.__dict__.__getitem__, self.__match_args__))


def _equal(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _show(self: Any) -> str:
    shown = ", ".join(f"{field.name}={self.__dict__[field.name]!r}" for field in self.__fields__)
    return f"{type(self).__qualname__}({shown})"


_METHODS: dict[str, Any] = {
    "__init__": _init,
    "__setattr__": _unchangeable,
    "__delattr__": _unchangeable,
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _show,
}


class _Standard:
    """What ``dataclasses`` looks for on a class, made when it looks."""

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        from dataclasses import field, make_dataclass

        specs: list[Any] = []
        for name, kind, default in fields(owner):
            if default is MISSING:
                specs.append((name, kind))
            elif type(default).__hash__ is None:  # the standard ones want a factory for what can change
                specs.append((name, kind, field(default_factory=_returning(default))))
            else:
                specs.append((name, kind, field(default=default)))
        made: dict[str, Any] = vars(make_dataclass(owner.__name__, specs))["__dataclass_fields__"]
        type.__setattr__(owner, "__dataclass_fields__", made)
        return made


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value
