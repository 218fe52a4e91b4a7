"""Axes of sweeps and designs: the values that a size, setting or model variable takes.

Values are counted before they are built, so that a range without end is an error at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import Any

from ..core.aliases import SETTINGS as ALIASES
from ..core.errors import InputError, SizeError, short_repr
from ..core.record import changed, record
from ..core.setting import BATCH, CONTEXT, LENGTHS, SCALES, SEQ, TARGET_SEQ, Setting, read_integer, read_length
from .quantity import quantities

AXES = {each.name: each for each in (BATCH, SEQ, CONTEXT, TARGET_SEQ)}
MOST_AXES, MOST_VALUES = 16, 1_000_000  # of a grid and of an axis
_RANGE = re.compile(r"(\w+)\.\.(\w+):([x+])(\w+)")


@record
class Axis:
    """A size, setting or model variable to sweep, with the values to evaluate."""

    name: str
    values: tuple[Any, ...]


Over = str | Mapping[str, Sequence[Any]] | Sequence[str | Axis]  # what varies


def read_axis(text: str, scales: Mapping[str, int] = SCALES) -> Axis:
    """Parse an axis such as ``seq=1k..1M:x2``, ``n_layers=24,32``, ``weights=bf16,nf4`` or ``tp=1..8:x2``. By default,
    k is 1024.

    >>> read_axis("seq=1k..8k:x2"), read_axis("batch=1,8")
    (Axis(name='seq', values=(1024, 2048, 4096, 8192)), Axis(name='batch', values=(1, 8)))
    """
    name, equals, given = text.partition("=") if isinstance(text, str) else ("", "", "")
    if not name:
        raise InputError(
            f"invalid range {short_repr(text)}", parameter="over", hint="use a range such as seq=1k..1M:x2 or batch=1,8"
        )
    numbers = _values(given.strip(), scales) if equals else ()
    texts = () if _RANGE.fullmatch(given.strip()) or "" in given.split(",") else tuple(map(str.strip, given.split(",")))
    name = name.strip() if "." in name else name.strip().replace("-", "_")
    axis = _axis(name, numbers or (_bounded(texts) if name not in AXES else ()))
    if not axis.values:
        hint = "use seq=1k..1M:x2, seq=1k..32k:+1k or batch=1,8,64"
        raise InputError(f"invalid range {short_repr(text)}", parameter="over", hint=hint)
    return axis


def _axis(name: str, values: Sequence[Any]) -> Axis:
    name, words = ALIASES.get(name, name), {"true": True, "false": False}
    if name in LENGTHS and not isinstance(values, range):
        values = tuple(read_length(value, name) for value in values)
    if name in AXES:
        setting = changed(AXES[name], default=0)
        for value in (values[0], values[-1]) if values and isinstance(values, range) else values:
            setting.check(value)
    elif {setting.kind for setting in settings_of(name)} == {bool}:
        values = tuple(words.get(value, value) for value in values)
    return Axis(name, tuple(values))


def settings_of(name: str) -> list[Setting]:
    """Return all settings with the given name. The list is empty for model variables."""
    return [each for found in quantities() for each in found.settings if each.name == name]


def _values(text: str, scales: Mapping[str, int]) -> Sequence[int]:
    if match := _RANGE.fullmatch(text):
        first, last, step = (read_integer(match[place], scales) for place in (1, 2, 4))
        if first is None or last is None or step is None or (step < 2 if match[3] == "x" else step < 1) or first < 1:
            return ()
        if match[3] == "+":
            return _bounded(range(first, last + 1, step))
        found = []
        while first <= last:
            found.append(first)
            first *= step
        return found
    numbers = [read_integer(part.strip(), scales) for part in text.split(",")]
    return _bounded([number for number in numbers if number is not None] if None not in numbers else ())


def _bounded(values: Iterable[Any]) -> Sequence[Any]:
    """Return values as a sequence. Raise an error if there are too many."""
    found = values if isinstance(values, range) else list(islice(values, MOST_VALUES + 1))
    if found[MOST_VALUES:]:  # unlike len(), this works for a range of any length
        text, hint = f"more than {MOST_VALUES:,} values", "use a larger step, such as x2"
        raise SizeError(text, parameter="over", hint=hint)
    return found


def _as_sequence(values: object) -> Sequence[Any]:
    found = _bounded(values) if isinstance(values, Iterable) and not isinstance(values, str) else ()
    if not found:
        raise InputError(f"must be a list of values, not {short_repr(values)}", parameter="over")
    return found


def points(axes: Sequence[Axis]) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """Yield the place of each point of a grid, and its values by axis."""
    for place in product(*(range(len(axis.values)) for axis in axes)):
        yield place, {axis.name: axis.values[at] for axis, at in zip(axes, place, strict=True)}


def check_points(axes: Sequence[Axis], most: int, hint: str) -> None:
    """Raise an error if a grid has more than ``most`` points."""
    number = prod(len(axis.values) for axis in axes)
    if number > most:
        raise SizeError(f"too many points ({number:,})", parameter="over", hint=hint)


def read_axes(over: Over) -> list[Axis]:
    """Return the axes of a sweep or design."""
    over = [over] if isinstance(over, str) else over
    if isinstance(over, Mapping):
        found = [_axis(str(name), _as_sequence(values)) for name, values in over.items()]
    else:
        some = islice(over if isinstance(over, Iterable) else (over,), MOST_AXES + 1)
        found = [_axis(one.name, _as_sequence(one.values)) if isinstance(one, Axis) else read_axis(one) for one in some]
    if len(found) > MOST_AXES:
        raise SizeError(f"more than {MOST_AXES} ranges", parameter="over", hint="omit some of them")
    if not found:
        raise InputError("no range to sweep", parameter="over", hint="use a range such as seq=1k..32k:x2")
    return found
