"""Parts, which are records that describe one option of a layer, such as rotary positions. Fields are validated.

A layer field can hold a part. In presets and Python, a part can also be written as a mapping of its fields, as
``true`` to use the defaults, or as the value of its main field (``qk_norm: head``). If a field accepts several kinds
of parts, the name of the part is required:

    rope: {theta: 5e5, scaling: {yarn: {factor: 8.0, length: 4096}}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import compress
from operator import is_not

from .errors import DescriptionError, InputError, SizeError, UnknownNameError, short_repr
from .record import MISSING, changed, fields
from .type_names import TYPE_CHECKING, Any, ClassVar, TypeGuard

if TYPE_CHECKING:
    from .shrink import Sizes

LARGEST_SIZE = 10**15


class Part:
    """Base class for parts and layers. Fields are validated at construction.

    ``CHOICES`` lists the allowed values of string fields. Integer fields are sizes of at least 1, or at least 0 if
    listed in ``ZERO_ALLOWED``. ``POSITIONS`` lists those that are positions of tokens, not lengths of a tensor.
    ``PARTS`` lists the allowed classes for each field that holds a part. ``SHRINK`` sets the small sizes of fields in
    tests (see ``core/shrink.py``). Unlisted fields are set to new primes.
    ``SHORT`` names the field that a part written as a single value sets (``qk_norm: head``), and ``ABSENT`` is the
    value of that field that means no part. ``SHORT_FORMS`` lists names for presets whose value names a part: the field
    of a choice of parts, and the field of a part that the name can stand for as well (``positions: rope``).
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset()
    POSITIONS: ClassVar[frozenset[str]] = frozenset()
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {}
    SHRINK: ClassVar[dict[str, str]] = {}
    SHORT: ClassVar[str] = ""
    SHORT_FORMS: ClassVar[dict[str, tuple[str, str]]] = {}
    ABSENT: ClassVar[object] = "none"

    def __post_init__(self) -> None:
        self.check()
        self._complete()

    def _complete(self) -> None:
        """Derive fields that were left out, and check fields against each other. Their types have been checked."""

    def check(self) -> None:
        """Validate the type and value of every field, and convert mappings to parts."""
        own = self.__dict__
        is_given = map(is_not, own.values(), self.__template__.values())  # type: ignore[attr-defined]
        kind: Any = type(self)
        for name, base, optional, default in compress(_plan(kind), is_given):
            value = own[name]
            if (optional and value is None) or _test(kind, name, base)(value):
                continue
            if name in self.PARTS:
                own[name] = part = _part_at(self, name, value, default)
                if part is None and not optional:
                    text = f"{name} must be a mapping or true, not {short_repr(value)}"
                    raise DescriptionError(text, where=self.kind(), field=name).under((name,))
            else:
                error = SizeError if base == "int" else DescriptionError
                text = f"{name} must be {self._wanted(name, base)}, not {short_repr(value)}"
                raise error(text, where=self.kind(), field=name).under((name,))

    def _wanted(self, name: str, base: str) -> str:
        """Return a description of valid values for a field."""
        if base == "int":
            return f"an integer from {0 if name in self.ZERO_ALLOWED else 1} to {LARGEST_SIZE:.0e}"
        if base == "str":
            return f"one of {', '.join(self.CHOICES[name])}" if self.CHOICES.get(name) else "a text"
        return "true or false" if base == "bool" else "a finite number"

    @classmethod
    def kind(cls) -> str:
        """Return the name of the part, which is the class name in lowercase."""
        return cls.__name__.lower()

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return the small size of a field that depends on other fields, or None to apply the field's rule."""
        return None

    def derive(self, **values: Any) -> None:
        """Set fields that are still ``None``. This method must only be called during construction."""
        for name, value in values.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def must_divide(self, divisor: str, dividend: str) -> None:
        """Raise a SizeError unless the field ``divisor`` divides the field ``dividend``."""
        small, large = getattr(self, divisor), getattr(self, dividend)
        if large % small:
            text, hint = f"({small}) does not divide {dividend} ({large})", f"{divisor} must divide {large}"
            raise self.size_error(divisor, text, hint=hint, divides=dividend)

    def must_not_exceed(self, field: str, limit: str) -> None:
        """Raise a SizeError if ``field`` is greater than the field ``limit``."""
        value, most = getattr(self, field), getattr(self, limit)
        if value > most:
            raise self.size_error(field, f"({value}) must not exceed {limit} ({most})", at_most=limit)

    def size_error(self, field: str, problem: str, **details: str) -> SizeError:
        """Return a SizeError for a field. The message is the field name, followed by ``problem``."""
        return SizeError(f"{field} {problem}", where=self.kind(), field=field.partition(".")[0], **details)


@cache
def _plan(kind: type[Part]) -> list[tuple[str, str, bool, Any]]:
    """Return (name, type, whether None is allowed, default) for each field."""
    found = [(entry, str(entry.type).removesuffix(" | None")) for entry in fields(kind)]
    return [(entry.name, base, entry.type != base, entry.default) for entry, base in found]


@cache
def _test(kind: type[Part], name: str, base: str) -> Callable[[object], bool]:
    """Return a function that tells whether a value is valid for a field."""
    if name in kind.PARTS:
        return lambda value: type(value) in kind.PARTS[name]
    if base == "int":
        least = 0 if name in kind.ZERO_ALLOWED else 1
        return lambda value: is_integer(value) and least <= value <= LARGEST_SIZE
    if base == "str":
        choices = kind.CHOICES.get(name)
        return lambda value: isinstance(value, str) and (not choices or value in choices)
    if base == "bool":
        return lambda value: type(value) is bool
    return is_number if base == "float" else lambda value: True


def is_integer(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer, which may be traced, and not True or False."""
    return isinstance(value, int) and type(value) is not bool


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite number."""
    return abs(value) <= LARGEST_SIZE if is_integer(value) else type(value) is float and abs(value) < float("inf")


def _part_at(owner: Part, name: str, value: object, usual: object) -> Part | None:
    """Convert a field's value to a part. If an error occurs, prepend the field name to the error's key path."""
    try:
        return read_part(owner.PARTS[name], value, usual if isinstance(usual, Part) else None, name)
    except InputError as error:
        error.path = (name, *(error.path or ()))
        error.field = name
        if not error.where:
            error.where = owner.kind()
        raise


def read_part(
    choices: Sequence[type[Part]], value: object, usual: Part | None = None, field: str = "part"
) -> Part | None:
    """Convert ``value`` to a part. ``None`` and ``False`` are converted to None.

    A mapping changes fields of ``usual``. A part whose main or required field is null is absent. If there are several
    choices, the mapping has the form ``{name: fields}``. Null removes an inherited name, and a name without fields
    selects the part with default values.
    """
    if value is None or value is False:
        return None
    if isinstance(value, Part) and type(value) in choices:
        return value
    if len(choices) == 1:
        if choices[0].SHORT and not isinstance(value, Mapping | bool):
            return _from_short_form(choices[0], value, usual, field)
        if not isinstance(value, Mapping) and value is not True:
            raise DescriptionError(f"{field} must be a mapping, true or false, not {short_repr(value)}")
        return _make(choices[0], {} if value is True else value, usual, field)
    named = {value: {}} if isinstance(value, str) else value
    known = {choice.kind(): choice for choice in choices}
    if not isinstance(named, Mapping):
        message = f"{field} must be one of {', '.join(known)} with its fields, not {short_repr(value)}"
        raise DescriptionError(message)
    given = {word: inner for word, inner in named.items() if inner is not None and word != "none"}
    if len(given) > 1:
        raise DescriptionError(f"{' and '.join(map(str, given))} cannot be combined; set one of them to null")
    for word, inner in given.items():
        if word not in known:
            raise UnknownNameError(field, word, ["none", *known]).under((word,))
        if not isinstance(inner, Mapping) and inner is not True:
            raise DescriptionError(f"{word} must be a mapping, not {short_repr(inner)}").under((word,))
        try:
            return _make(known[word], {} if inner is True else inner, None, word)
        except InputError as error:
            error.path = (word, *(error.path or ()))
            raise
    return None


def _from_short_form(cls: type[Part], value: object, usual: Part | None, name: str) -> Part | None:
    """Convert the value of the main field to a part. An error names the field of the layer."""
    try:
        return _make(cls, {cls.SHORT: value}, usual, name)
    except InputError as error:
        error.message, error.path, error.where = f"{name}{error.message.removeprefix(cls.SHORT)}", (), ""
        raise


def _make(cls: type[Part], given: Mapping[Any, Any], usual: Part | None, name: str) -> Part | None:
    known = [entry.name for entry in fields(cls)]
    for key in given:
        if key not in known:
            raise UnknownNameError(f"{name} field", key, known).under((key,))
    absent = {entry.name: None for entry in fields(cls) if entry.default is MISSING} | {cls.SHORT: cls.ABSENT}
    if any(key in given and given[key] == value for key, value in absent.items()):
        return None
    needed = [entry.name for entry in fields(cls) if entry.default is MISSING and entry.name not in given]
    if usual is None and needed:
        raise DescriptionError(f"{name} requires {' and '.join(needed)}")
    return cls(**given) if usual is None else changed(usual, **given) if given else usual


def nested_fields(part: Part) -> list[tuple[str, Any, Any, bool]]:
    """Return (path, value, default, whether the field is a size) for all fields, including fields of inner parts.

    A path is the key path in a preset, such as ``rope.scaling.yarn.factor``. If a field holds a part, the value is
    the name of the part. If the field accepts only one kind of part, the value is whether the part is present.
    """
    found: list[tuple[str, Any, Any, bool]] = []
    for name, text, default in fields(part):
        value = getattr(part, name)
        if name not in part.PARTS:
            found.append((name, value, default, text.startswith("int") and name not in part.POSITIONS))
            continue
        several = _is_choice(part.PARTS[name])
        words = [part_name(one) if several else one is not None for one in (value, default)]
        found.append((name, words[0], words[1], False))
        if value is not None:
            prefix = f"{name}.{value.kind()}" if several else name
            usual = default if type(default) is type(value) else None
            for path, item, common, is_size in nested_fields(value):
                found.append((f"{prefix}.{path}", item, getattr(usual, path, common), is_size))
    return found


def _is_choice(choices: Sequence[type[Part]]) -> bool:
    """Return whether a field accepts several kinds of parts, as those of a folder, whose modules are not listed."""
    return getattr(choices, "names", None) == () or len(choices) > 1


def part_name(part: Part | None) -> str:
    """Return the name of a part, or ``none``."""
    return part.kind() if part else "none"
