"""Run a computation with symbols in place of its input sizes, and record the result as a closed form.

Traced values are the integers of one example together with the forms that give these integers for any input. Code
that computes with them needs no other version of its formulas. A comparison has the outcome of the example. Unless
the outcome is the same for all inputs, the trace records a guard, which is a form that must not be negative. The
result is valid for all inputs that satisfy the guards.

Anything else that depends on an integer, such as ``int(x)`` or ``range(x)``, raises a TypeError.

>>> trace = Tracer({"n": 7}, {"n": 1})
>>> found = 3 * trace.inputs["n"] + (2 if trace.inputs["n"] > 5 else 0)
>>> print(found.form, *trace.guards)
2 + 3·n -6 + n
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..amount import Sum
from ..form import Call, Form, Symbolic, lift, symbol
from .form_bounds import FUNCTIONS, MOST_CANDIDATES, Bounds

Integer = Any  # an int or a Traced value


class Traced(Symbolic):
    """An integer of the example, and its form. ``parts`` are the labelled parts of a sum."""

    __slots__ = ("_parts", "form", "trace")

    def __init__(self, trace: Tracer, form: Form, parts: tuple[tuple[str, Integer], ...] = ()) -> None:
        self.trace, self.form, self._parts = trace, form, parts

    @property
    def parts(self) -> tuple[tuple[str, Integer], ...]:
        """Labelled parts of a sum, or the value itself without a label."""
        return self._parts or (("", self),)

    def labelled(self, parts: tuple[tuple[str, Integer], ...]) -> Traced:
        """Return the value with labelled parts. If there is one part, the forms in a closed form have its label."""
        if len(parts) == 1:
            self.trace.label(self.form, parts[0][0])
        return Traced(self.trace, self.form, parts)

    def name(self, name: str) -> None:
        """Set the name of a derived symbol. It is left out if another symbol has the name."""
        for own in self.form.symbols() & self.trace.definitions.keys():
            if self.form == symbol(own) and name not in self.trace.names.values():
                self.trace.names.setdefault(own, name)

    def plus(self, label: str, size: Integer) -> Integer:
        """Return the sum with one more part."""
        return Sum(*self.parts, (label, size))

    def apply(self, function: str, arguments: tuple[Integer, ...]) -> Integer:
        """Return a function of ``core/form.py`` of values."""
        if function in ("min", "max"):
            return self.trace.extreme(function, arguments)
        if function in ("ceil", "mod"):
            one, two = arguments
            return one % two if function == "mod" else -(-one // two)
        raise TypeError(f"{function} of traced values is not supported")

    def largest_of(self, sizes: Sequence[Integer]) -> list[int]:
        """Return the positions of the sizes that may be the largest."""
        forms = list(map(_form, sizes))
        return sorted(map(forms.index, self.trace.undominated("max", forms)))

    def __add__(self, other: Integer) -> Integer:
        return self.trace.amount(self.form + _plain(other))

    def __mul__(self, other: Integer) -> Integer:
        return self.trace.amount(self.form * _plain(other))

    def __neg__(self) -> Integer:
        return self.trace.amount(-self.form)

    def __sub__(self, other: Integer) -> Integer:
        return self.trace.amount(self.form - _plain(other))

    def __rsub__(self, other: Integer) -> Integer:
        return self.trace.amount(_plain(other) - self.form)

    def __floordiv__(self, other: Integer) -> Integer:
        return self.trace.quotient(self.form, _form(other))

    def __rfloordiv__(self, other: Integer) -> Integer:
        return self.trace.quotient(_form(other), self.form)

    def __mod__(self, other: Integer) -> Integer:
        return self - self // other * other

    def __rmod__(self, other: Integer) -> Integer:
        return other - other // self * self

    __radd__, __rmul__ = __add__, __mul__

    def __bool__(self) -> bool:
        return not self.trace.is_zero(self.form)

    def __gt__(self, other: Integer) -> bool:
        return self.trace.is_positive(self.form - _form(other))

    def __lt__(self, other: Integer) -> bool:
        return self.trace.is_positive(_form(other) - self.form)

    def __ge__(self, other: Integer) -> bool:
        return not self < other

    def __le__(self, other: Integer) -> bool:
        return not self > other

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Traced) and other.trace is not self.trace:
            raise TypeError("values of different traces cannot be compared")
        return isinstance(other, int | Traced) and self.trace.is_zero(self.form - _form(other))

    def __hash__(self) -> int:
        return 0  # dictionaries compare all keys that are traced

    def __repr__(self) -> str:
        return f"Traced({self.form})"

    def __format__(self, spec: str) -> str:
        """Return the integer of the example as text, which is compared with all texts of traced values."""
        texts = self.trace.texts
        if not any(self == known for known in texts):
            texts.append(self)
        return format(self.trace.value(self.form), spec)


class Tracer:
    """The record of one computation.

    Attributes:
        inputs: traced input sizes.
        definitions: the function that each derived symbol stands for, in order.
        guards: forms that must not be negative.
        texts: values that were converted to text.
        names: names of derived symbols for readers.
        labels: labels of forms whose maximum a form may be.
    """

    def __init__(self, example: Mapping[str, int], least: Mapping[str, int]) -> None:
        self.definitions: dict[str, Call] = {}
        self.guards: dict[Form, None] = {}
        self.texts: list[Traced] = []
        self.names: dict[str, str] = {}
        self.labels: dict[Form, str] = {}
        self._bounds = Bounds(least)
        self._values = dict(example)
        self._names: dict[Call, str] = {}
        self.inputs = {name: self.amount(symbol(name)) for name in example}

    def amount(self, form: Form) -> Integer:
        """Return the traced value of a form, or an integer if the form is constant."""
        return form.terms.get((), 0) if form.terms.keys() <= {()} else Traced(self, form)

    def value(self, form: Form) -> int:
        """Return the value of a form in the example."""
        return int(form(**self._values))

    def label(self, form: Form, label: str) -> None:
        """Label a form, or the forms whose maximum it is. A later label is that of a larger part."""
        self.labels |= dict.fromkeys(self._flattened("max", form), label)

    def quotient(self, dividend: Form, divisor: Form) -> Integer:
        """Return a quotient rounded down."""
        if not self.is_positive(divisor):
            raise TypeError("a divisor of symbols must be positive")
        factor, whole = divisor.terms.get((), 0), lift(0)
        if divisor == factor:  # terms that are multiples of a constant divisor are divided exactly
            whole = Form({atoms: n // factor for atoms, n in dividend.terms.items() if n % factor == 0})
            dividend = dividend - whole * factor
        if not dividend.terms:
            return self.amount(whole)
        bound = self._bounds.lower(dividend)
        if (bound is None or bound < 0) and self._bounds.lower(-dividend) is not None:
            if divisor == factor and dividend.terms.get((), 0) > 0:  # (127 - n) // 128 is -(n // 128)
                return self.amount(whole - self._call("floor", (factor - 1 - dividend, divisor)))
            return self.amount(whole - self._call("ceil", (-dividend, divisor)))
        return self.amount(whole + self._call("floor", (dividend, divisor)))

    def extreme(self, function: str, arguments: Iterable[Integer]) -> Integer:
        """Return the minimum or maximum of values."""
        forms = (form for each in arguments for form in self._flattened(function, _form(each)))
        found = self.undominated(function, forms)
        return self.amount(found[0] if len(found) == 1 else self._call(function, tuple(found)))

    def undominated(self, function: str, forms: Iterable[Form]) -> list[Form]:
        """Return the forms that may be the minimum or maximum. If these are many, one is chosen by guards."""
        found = self._bounds.undominated(function, forms)
        if len(found) <= MOST_CANDIDATES:
            return found
        sign = -1 if function == "min" else 1
        chosen = max(found, key=lambda each: sign * self.value(each))
        for other in found:
            self.is_positive((other - chosen) * sign)
        return [chosen]

    def is_positive(self, form: Form) -> bool:
        """Return whether a form is positive in the example. Add a guard if this depends on the inputs."""
        if self._bounds.is_negative(form, or_zero=True):
            return False
        if self._bounds.is_negative(-form):
            return True
        outcome = self.value(form) > 0
        self.guards[form - 1 if outcome else -form] = None
        return outcome

    def is_zero(self, form: Form) -> bool:
        """Return whether a form is 0 in the example. Add guards if this depends on the inputs."""
        if not form.terms:
            return True
        value = self.value(form)
        if value:
            return not self.is_positive(form if value > 0 else -form)
        self.guards |= {form: None, -form: None}
        return True

    def _call(self, function: str, arguments: tuple[Form, ...]) -> Form:
        """Return the symbol that stands for a function of forms."""
        call = Call(function, arguments)
        if call not in self._names:
            name = self._names[call] = f"t{len(self._names) + 1}"
            self.definitions[name] = call
            self._values[name] = FUNCTIONS[function](*map(self.value, arguments))
            self._bounds.add(name, call)
        return symbol(self._names[call])

    def _flattened(self, function: str, form: Form) -> Iterable[Form]:
        """Yield the forms whose minimum or maximum a form is."""
        own = {name: call for name in form.symbols() if (call := self.definitions.get(name)) and call[0] == function}
        for name, call in own.items() if len(own) == 1 else ():
            if form.terms.get((name,)) == 1 and sum(name in atoms for atoms in form.terms) == 1:
                return [form - symbol(name) + argument for argument in call.arguments]
        return [form]


def _plain(value: Integer) -> Any:
    """Return the form of a traced value, or an integer as it is, with which forms are faster."""
    return value.form if isinstance(value, Traced) else value


def _form(value: Integer) -> Form:
    return value.form if isinstance(value, Traced) else lift(value)
