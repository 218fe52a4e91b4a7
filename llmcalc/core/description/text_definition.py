"""The definition of a layer kind in a preset: its fields, axes, tensors, equations and state, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import DescriptionError, InputError, SizeError, short_repr
from ..expression import evaluate, names_in
from ..form import FUNCTIONS
from ..part import LARGEST_SIZE
from ..record import record

_NAME = re.compile(r"[A-Za-z_]\w*")
_WINDOW = re.compile(r"min\(c, (\w+) - 1\) \+ q")


@record
class TextField:
    """A field of a text kind.

    ``default`` is a number, an expression in terms of other fields such as ``4 * d_model``, or None if the field is
    required.
    """

    name: str
    type: str = "int"
    default: int | float | str | None = None
    role: str = ""

    @property
    def is_derived(self) -> bool:
        """Whether the default is an expression."""
        return isinstance(self.default, str)


@record
class TextAxis:
    """An axis and its length, given as an expression in terms of fields, or of axes and the workload (``c + q``).

    ``shard`` is the attribute of ``Parallel`` that lists the axis, such as ``tensor``.
    """

    symbol: str
    length: int | str
    name: str = ""
    meaning: str = ""
    shard: str = ""


@record
class TextTensor:
    """A stored tensor such as ``wq[d | h e]``, with the options of ``Declaration.weights``."""

    spec: str
    share: str | None = None
    active: tuple[str, str] | None = None
    table: str | None = None
    buffer: bool = False


@record
class TextState:
    """A tensor that persists between decode steps, such as ``k[b t g e]``."""

    spec: str
    role: str = "kv"


@record
class TextKind:
    """Definition of a text kind.

    Attributes:
        mask: attention mask and an expression for its width, such as ``("window", "w")``. For a ``causal`` mask,
            the expression is empty.
    """

    name: str
    fields: tuple[TextField, ...]
    axes: tuple[TextAxis, ...]
    tensors: tuple[TextTensor, ...]
    equations: tuple[str, ...]
    states: tuple[TextState, ...] = ()
    mask: tuple[str, str] = ("", "")
    description: str = ""
    source: str = ""


def computation_order(fields: tuple[TextField, ...]) -> tuple[TextField, ...]:
    """Return the derived fields, sorted so that each field follows the fields that its expression depends on.

    Raises:
        DescriptionError: if there are circular references between fields.
    """
    waiting = {field.name: field for field in fields if field.is_derived}
    found: list[TextField] = []
    while waiting:
        ready = next((field for field in waiting.values() if not names_in(str(field.default)) & waiting.keys()), None)
        if ready is None:
            raise DescriptionError(f"circular references between fields: {', '.join(waiting)}")
        found.append(waiting.pop(ready.name))
    return tuple(found)


def window_of(length: int | str) -> str:
    """Return the window of an axis of keys, as the name of an axis or field or a number, or an empty string.

    >>> window_of("min(c, w - 1) + q")
    'w'
    """
    match = _WINDOW.fullmatch(str(length))
    return match[1] if match else ""


def length_of(axis: TextAxis, sizes: Mapping[str, int]) -> int | str:
    """Return an axis length as an integer, or as an expression in terms of axes and the workload."""
    if isinstance(axis.length, str) and not names_in(axis.length) <= sizes.keys():
        return _NAME.sub(lambda match: str(sizes.get(match[0], match[0])), axis.length)
    return size_of(f"axis {axis.symbol}", str(axis.length), sizes)


def size_of(what: str, text: str, sizes: Mapping[str, int]) -> int:
    """Evaluate an expression and check that the value is a positive integer."""
    found = evaluated(what, text, sizes)
    if type(found) is not int or not 1 <= found <= LARGEST_SIZE:
        raise SizeError(f"{what} is {text} = {short_repr(found)}; it must be an integer from 1 to {LARGEST_SIZE:.0e}")
    return found


def evaluated(what: str, text: str, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression. An error says what it belongs to."""
    try:
        return evaluate(text, names, FUNCTIONS)
    except InputError as error:
        error.message = f"{what}: {error.message}"
        raise
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise DescriptionError(f"{what}: cannot evaluate {short_repr(text)}: {error}") from None
