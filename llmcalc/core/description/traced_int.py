"""Traced values that code accepts as integers, such as the sizes of a model.

A ``TracedInt`` is the integer of the example. Arithmetic and comparisons are traced as those of its ``Traced`` value.
Other operations, such as conversions to text and to plain integers, return those of the integer, and guards fix it.
Numbers with a fraction, such as the factor of attention scores, change no count unless they are 0 or 1.
``range(n)`` and ``[x] * n`` read an integer without an operation of its class, and therefore need ``int(n)``.

>>> from .traced import Tracer
>>> trace = Tracer({"n": 7}, {"n": 1})
>>> n = TracedInt(trace.inputs["n"])
>>> isinstance(n, int), traced_form(3 * n + n % 2), traced_form(n + len(range(int(n))))
(True, Form(4·n + -2·t1), Form(7 + n))
>>> print(*trace.guards)
-7 + n 7 + -1·n
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..form import Form, lift
from .traced import Traced

TRACED = (
    "add", "radd", "sub", "rsub", "mul", "rmul", "floordiv", "rfloordiv", "mod", "rmod", "lt", "le", "gt", "ge", "eq",
)  # fmt: skip
OTHER = {"__index__", "__hash__", "__ne__", "__bool__", "__neg__", "__pos__", "__abs__", *vars(object)}


class TracedInt(int):
    """The integer of the example, with its traced value."""

    traced: Traced

    def __new__(cls, traced: Traced) -> TracedInt:
        """Create the integer of a traced value."""
        found = int.__new__(cls, traced.trace.value(traced.form))
        found.traced = traced
        return found

    def fixed(self) -> int:
        """Return the plain integer, and add guards for it."""
        found = self.traced.trace.value(self.traced.form)
        self.traced.trace.is_zero(self.traced.form - found)
        return found

    def __bool__(self) -> bool:
        return bool(self.traced)

    def __float__(self) -> float:
        return float(plain(self)) if self > 1 else float(self.fixed())

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __neg__(self) -> int:
        return 0 - self

    def __pos__(self) -> int:
        return self

    def __abs__(self) -> int:
        return self if self >= 0 else -self

    def __hash__(self) -> int:
        return hash((id(self.traced.trace), self.traced.form))

    def __repr__(self) -> str:
        return repr(self.fixed())

    def __format__(self, spec: str) -> str:
        return format(self.fixed(), spec)


def _traced_method(name: str) -> Callable[[TracedInt, Any], Any]:
    def method(self: TracedInt, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        if isinstance(other, TracedInt) and other.traced.trace is not self.traced.trace:
            return NotImplemented
        found = getattr(self.traced, name)(other.traced if isinstance(other, TracedInt) else other)
        return TracedInt(found) if isinstance(found, Traced) else found

    return method


def _fixed_attribute(name: str) -> property:
    return property(lambda self: getattr(self.fixed(), name))


for _name in (f"__{each}__" for each in TRACED):
    setattr(TracedInt, _name, _traced_method(_name))
for _name in {*vars(int)} - {*vars(TracedInt)} - OTHER:
    setattr(TracedInt, _name, _fixed_attribute(_name))


def plain(value: Any) -> Any:
    """Return the integer of the example without a guard, or another value unchanged."""
    return int.__int__(value) if isinstance(value, TracedInt) else value


def traced_form(value: int) -> Form:
    """Return the form of a traced integer, or of a plain one."""
    return value.traced.form if isinstance(value, TracedInt) else lift(value)
