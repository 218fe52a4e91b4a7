"""Frozen dataclasses that are cheap to create.

Standard dataclasses compile several functions per class at startup and import ``inspect``, which takes a fifth
of the run time of a short command. ``@record`` reads annotations like ``dataclass(frozen=True)``. Type checkers
treat records as dataclasses, and functions such as ``dataclasses.fields`` and ``dataclasses.replace`` accept
them.

>>> @record
... class Point:
...     x: int
...     y: int = 0
>>> Point(1), Point(x=1) == Point(1, 0), hash(Point(1)) == hash(Point(1, 0))
(Point(x=1, y=0), True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from operator import itemgetter

from .type_names import TYPE_CHECKING, Any, NoReturn, TypeVar, dataclass_transform

Class = TypeVar("Class", bound=type)
Record = TypeVar("Record")
Value = TypeVar("Value")
OF_LAYERS = "_of_layers"  # prefix of the names of remembered values that depend on one layer, not on its owner
NOTHING: Mapping[str, Any] = {}  # shared default, never changed
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()


if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Fields(tuple):
        """A tuple with names of its elements, like the classes of ``collections.namedtuple``."""

        __slots__ = ()
        _fields: tuple[str, ...]
        _field_defaults: dict[str, Any]

        def __new__(cls, *values: Any, **named: Any) -> Any:
            fields = cls._fields
            if named or len(values) != len(fields):
                given = dict(zip(fields, values, strict=False))
                if len(values) > len(fields) or not given.keys().isdisjoint(named) or named.keys() - {*fields}:
                    raise TypeError(f"{cls.__name__} takes each of {', '.join(fields)} once")
                whole = {**cls._field_defaults, **given, **named}
                try:
                    values = tuple(map(whole.__getitem__, fields))
                except KeyError as error:
                    raise TypeError(f"{cls.__name__} is missing the required field {error}") from None
            return tuple.__new__(cls, values)

        _make = classmethod(tuple.__new__)

        def _replace(self, **named: Any) -> Any:
            whole = {**dict(zip(self._fields, self, strict=True)), **named}
            if len(whole) != len(self):
                raise TypeError(f"{type(self).__name__} has only the fields {', '.join(self._fields)}")
            return tuple.__new__(type(self), whole.values())

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

        def __repr__(self) -> str:
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    class _NamedTupleType(type):
        def __new__(cls, name: str, bases: tuple[type, ...], own: dict[str, Any]) -> type:
            fields = tuple(own.get("__annotations__", {}))
            usual = {each: own.pop(each) for each in fields if each in own}
            getters = {each: property(itemgetter(place)) for place, each in enumerate(fields)}
            more = {"__slots__": (), "_fields": fields, "_field_defaults": usual, "__match_args__": fields}
            return type(name, (_Fields,), {**own, **getters, **more})

    NamedTuple = type.__new__(_NamedTupleType, "NamedTuple", (), {})
    """A base class like ``typing.NamedTuple`` that compiles neither annotations nor functions for each class."""


class Field(NamedTuple):
    """A record field. ``default`` is MISSING for required fields, and ``type`` is the annotation as a string."""

    name: str
    type: str
    default: Any


@dataclass_transform(frozen_default=True)
def record(cls: Class) -> Class:
    """Turn a class into a record. All annotated names (own and inherited) except class variables become fields."""
    found: dict[str, Field] = {}
    template: dict[str, Any] = {}
    required = list[str]()
    for base in reversed(cls.__mro__):
        for field in vars(base).get("__fields__", ()):
            found[field.name] = field
    own = vars(cls)
    for name, kind in own.get("__annotations__", {}).items():
        if not kind.startswith("ClassVar"):
            found[name] = Field._make((name, kind, own.get(name, MISSING)))
    for field in found.values():
        template[field.name] = field.default
        if field.default is MISSING:
            required.append(field.name)
    added: dict[str, Any] = {
        "__fields__": tuple(found.values()),
        "__match_args__": tuple(found),
        "__template__": template,
        "__required__": tuple(required),
        "__dataclass_fields__": _Standard(),
    }
    for name, value in (added | _METHODS).items():
        inherited = name == "__repr__" and getattr(cls, name) not in (object.__repr__, value)
        if name not in own and not inherited:
            setattr(cls, name, value)
    return cls


def fields(of: Any) -> tuple[Field, ...]:
    """Return the fields of a record or standard dataclass, given as an instance or a class."""
    own: tuple[Field, ...] | None = getattr(of, "__fields__", None)
    if own is not None:
        return own
    import dataclasses

    standard = ((entry.name, str(entry.type), entry.default) for entry in dataclasses.fields(of))
    return tuple(
        Field(name, kind, MISSING if usual is dataclasses.MISSING else usual) for name, kind, usual in standard
    )


def changed(of: Record, **values: Any) -> Record:
    """Return a copy with changed values, like ``dataclasses.replace`` but without importing ``dataclasses``.

    >>> @record
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> changed(Point(1, 2), y=3)
    Point(x=1, y=3)
    """
    # cached properties come after the fields
    own = zip(type(of).__match_args__, of.__dict__.values(), strict=False)  # type: ignore[attr-defined]
    return type(of)(**{**dict(own), **values})


def remembered(owner: object, name: str, key: Hashable, compute: Callable[[], Value], most: int = 2048) -> Value:
    """Return a value that is computed once per ``key`` and kept with a record. Comparisons of records ignore it.

    At most ``most`` values are kept.
    """
    known: dict[Hashable, Value] = owner.__dict__.setdefault(name, {})
    found: Any = known.get(key, MISSING)
    if found is not MISSING:
        return found  # type: ignore[no-any-return]
    if len(known) >= most:
        known.clear()
    value = known[key] = compute()
    return value


def forget(owner: object) -> None:
    """Drop the values that are remembered with a record, and its cached properties."""
    own = owner.__dict__
    for name in own.keys() - set(type(owner).__match_args__):  # type: ignore[attr-defined]
        del own[name]


def by_layer(owner: object) -> dict[str, Any]:
    """Return the remembered values of single layers, which a record with equal layers can take over."""
    return {name: values for name, values in owner.__dict__.items() if name.startswith(OF_LAYERS)}


def is_record(value: object) -> bool:
    """Return whether a value is a record or a standard dataclass."""
    return hasattr(type(value), "__fields__") or hasattr(type(value), "__dataclass_fields__")


def _init(self: Any, *values: Any, **named: Any) -> None:
    names, own = self.__match_args__, self.__dict__
    given = dict(zip(names, values, strict=False), **named) if values else named
    own.update(self.__template__)  # sets the order of the keys, on which _values relies
    own.update(given)
    if len(own) != len(names) or len(given) != len(values) + len(named):
        _raise_argument_error(self, values, named)
    for name in self.__required__:
        if own[name] is MISSING:
            _raise_argument_error(self, values, named)
    finish = getattr(self, "__post_init__", None)
    if finish:
        finish()


def _raise_argument_error(self: Any, values: tuple[Any, ...], named: dict[str, Any]) -> NoReturn:
    own, kind = self.__fields__, type(self).__name__
    if len(values) > len(own):
        raise TypeError(f"{kind} takes at most {len(own)} arguments, but {len(values)} were given")
    free = {name: default for name, _, default in own[len(values) :]}
    missing = [name for name, default in free.items() if default is MISSING and name not in named]
    if missing:
        raise TypeError(f"{kind} is missing the required field {missing[0]!r}")
    wrong = next(name for name in named if name not in free)
    raise TypeError(f"{kind} has no field {wrong!r} or received two values for it")


def _immutable(self: Any, name: str, *value: object) -> NoReturn:
    raise AttributeError(f"cannot assign to {name!r} of an immutable {type(self).__name__}")


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(self.__dict__.values())[: len(self.__match_args__)]  # cached properties come after the fields


def _equal(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(tuple(self.__dict__.values())[: len(self.__match_args__)])  # as _values, which this call would cost


def _repr(self: Any) -> str:
    text = ", ".join(f"{field.name}={self.__dict__[field.name]!r}" for field in self.__fields__)
    return f"{type(self).__qualname__}({text})"


_METHODS: dict[str, Any] = {
    "__init__": _init,
    "__setattr__": _immutable,
    "__delattr__": _immutable,
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _repr,
}


class _Standard:
    """Descriptor that creates a record's ``__dataclass_fields__`` on first access."""

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        from dataclasses import field, make_dataclass

        specs: list[Any] = []
        for name, kind, default in fields(owner):
            if default is MISSING:
                specs.append((name, kind))
            elif type(default).__hash__ is None:  # dataclasses require a factory for mutable defaults
                specs.append((name, kind, field(default_factory=_factory(default))))
            else:
                specs.append((name, kind, field(default=default)))
        made: dict[str, Any] = vars(make_dataclass(owner.__name__, specs))["__dataclass_fields__"]
        type.__setattr__(owner, "__dataclass_fields__", made)
        return made


def _factory(value: Any) -> Callable[[], Any]:
    return lambda: value
