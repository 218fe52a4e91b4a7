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

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations_with_replacement, pairwise, product
from operator import le
from typing import Any

from .amount import Sum
from .form import Atom, Call, Form, Monomial, Symbolic, lift, symbol

Terms = dict[Monomial, int]
Vector = list[int]
MOST_CANDIDATES = 40
Integer = Any  # an int or a Traced value
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "floor": lambda a, b: a // b,
    "ceil": lambda a, b: -(-a // b),
    "min": min,
    "max": max,
}


class Basis:
    """Forms that equal symbols, to compare the symbols with derived ones, and the terms of products of symbols.

    The terms are those in the differences of the symbols from their lower bounds.
    """

    def __init__(self, least: Mapping[Atom, int], forms: Mapping[str, Form] | None = None) -> None:
        self._least, self.forms = least, dict(forms or {})
        self._terms: dict[Monomial, Terms] = {}

    def replace(self, name: str, form: Form) -> None:
        """Set the form that equals a symbol."""
        self.forms[name] = form
        self._terms.clear()

    def terms(self, form: Form) -> Terms:
        """Return the terms of a form."""
        found: Terms = {}
        for atoms, factor in form.terms.items():
            known = self._terms.get(atoms)
            for each, size in (self._expanded(atoms) if known is None else known).items():
                found[each] = found.get(each, 0) + factor * size
        return found

    def _expanded(self, atoms: Monomial) -> Terms:
        product = Form({atoms: 1})
        names = product.symbols() if self.forms else frozenset()
        if not self.forms.keys().isdisjoint(names):
            product = lift(product(**{name: self.forms.get(name, symbol(name)) for name in names}))
        found: Terms = {}
        for each, factor in product.terms.items():
            parts: Terms = {(): factor}
            for atom in each:
                least = self._least.get(atom, 0)
                raised = {(*known, atom): size for known, size in parts.items()}
                parts = raised | {known: size * least for known, size in parts.items() if least}
            for known, size in parts.items():
                found[known] = found.get(known, 0) + size
        self._terms[atoms] = found
        return found


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
        self._least: dict[Atom, int] = dict(least.items())  # lower bounds of symbols
        self._unbounded = set[Atom]()
        self._values = dict(example)
        self._names: dict[Call, str] = {}
        self._bases = [Basis(self._least)]
        self._chunks: dict[tuple[str, str, int], tuple[Basis, dict[int, str]]] = {}
        self.inputs = {name: self.amount(symbol(name)) for name in example}

    def amount(self, form: Form) -> Integer:
        """Return the traced value of a form, or an integer if the form is constant."""
        if form.terms.keys() <= {()}:
            return form.terms.get((), 0)
        return Traced(self, form)

    def value(self, form: Form) -> int:
        """Return the value of a form in the example."""
        found: int = form(**self._values)
        return found

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
        bound = self._lower(dividend)
        if (bound is None or bound < 0) and self._lower(-dividend) is not None:
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
        """Return the forms that may be the minimum or maximum.

        A form is not the maximum if a weighted mean of two others is never smaller, as for equal blocks between the
        first and the last. If too many are left, the one of the example is chosen by guards.
        """
        sign, found = -1 if function == "min" else 1, list[tuple[Form, list[Vector]]]()
        distinct = self._undominated_by_one(sign, list(dict.fromkeys(forms)))
        if len(distinct) == 1:
            return distinct
        vectors = dict(zip(distinct, self._vectors([form * sign for form in distinct], self._bases), strict=True))
        for number in range(len(distinct)):  # from both ends to the middle
            form = distinct[-1 - number // 2 if number % 2 else number // 2]
            if len(found) > MOST_CANDIDATES:
                chosen = max(distinct, key=lambda each: sign * self.value(each))
                for other in distinct:
                    self.is_positive((other - chosen) * sign)
                return [chosen]
            own = vectors[form]
            if not _is_below(own, combinations_with_replacement([vector for _, vector in found], 2)):
                kept = list(found)
                for entry in found:
                    rest = [own, *(vector for known, vector in kept if known is not entry[0])]
                    if _is_below(entry[1], product([own], rest)):
                        kept.remove(entry)
                found = [*kept, (form, own)]
        return sorted((form for form, _ in found), key=distinct.index)

    def _undominated_by_one(self, sign: int, forms: list[Form]) -> list[Form]:
        """Return the forms that are not below a single other one, term by term, which is fast to find."""
        vectors = [own for (own,) in self._vectors([form * sign for form in forms], self._bases[:1])]
        found: list[int] = []
        for place in sorted(range(len(forms)), key=lambda place: -sum(vectors[place])):
            if not any(all(map(le, vectors[place], vectors[other])) for other in found):
                found.append(place)
        return [forms[place] for place in sorted(found)]

    def _vectors(self, forms: list[Form], bases: Iterable[Basis]) -> list[list[Vector]]:
        """Return the terms of each form in each basis, in one order. Those of unknown sign come twice, once negated."""
        found: list[list[Vector]] = [[] for _ in forms]
        for basis in bases:
            terms = list(map(basis.terms, forms))
            every = dict.fromkeys(atoms for each in terms for atoms in each)
            unknown = [atoms for atoms in every if not self._unbounded.isdisjoint(atoms)]
            for vectors, each in zip(found, terms, strict=True):
                vectors.append([each.get(atoms, 0) for atoms in every] + [-each.get(atoms, 0) for atoms in unknown])
        return found

    def is_positive(self, form: Form) -> bool:
        """Return whether a form is positive in the example. Add a guard if this depends on the inputs."""
        if self._is_negative(form, or_zero=True):
            return False
        if self._is_negative(-form):
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
            bound = self._bound(function, arguments)
            if bound is not None and bound >= 0:
                self._least[name] = bound
                self._add_basis(name, *call)
            else:
                self._unbounded.add(name)
        return symbol(self._names[call])

    def _add_basis(self, name: str, function: str, arguments: tuple[Form, ...]) -> None:
        """Express symbols by a derived symbol t and a rest that is not negative.

        If t is ``min(n, 64)``, n is t + r. If t is ``n // 128``, n is 128 t + r, and if n // 4 occurs, too, it is
        32 t + s.
        """
        names = [next(iter(form.symbols()), "") for form in arguments]
        if function == "min":
            own = [each for each, form in zip(names, arguments, strict=True) if form == symbol(each)]
            forms = {each: symbol(name) + symbol(f"{name}'{each}") for each in own}
            self._bases += [Basis(self._least, forms)] if forms else []
        if function not in ("floor", "ceil") or arguments[1] != (length := arguments[1].terms.get((), 0)):
            return
        offset = arguments[0].terms.get((), 0)
        if arguments[0] == symbol(names[0]) + offset:
            key = names[0], function, offset
            if key not in self._chunks:
                self._chunks[key] = Basis(self._least), {1: names[0]}
                self._bases.append(self._chunks[key][0])
            basis, parts = self._chunks[key]
            parts[length], chain = name, [1]
            for each in sorted(parts)[1:]:
                chain += [each] if each % chain[-1] == 0 else []
            for before, after in reversed(list(pairwise(chain))):
                ratio, part, rest = after // before, parts[after], f"{parts[after]}'"
                shift = (ratio - 1 if function == "ceil" else 0) + (offset if before == 1 else 0)
                whole = basis.forms.get(part, symbol(part))
                basis.replace(parts[before], whole * ratio + symbol(rest) - shift)

    def _bound(self, function: str, arguments: tuple[Form, ...]) -> int | None:
        """Return a lower bound of a function of forms."""
        bounds = [self._lower(form) for form in arguments]
        known = [bound for bound in bounds if bound is not None]
        if function == "max":
            return max(known, default=None)
        if len(known) < len(bounds) or function == "min":
            return min(known) if len(known) == len(bounds) else None
        factor = arguments[1].terms.get((), 0)
        if arguments[1] == factor:
            return int(FUNCTIONS[function](known[0], factor))
        return min(known[0], 1) if function == "ceil" else min(known[0], 0)

    def _flattened(self, function: str, form: Form) -> Iterable[Form]:
        """Yield the forms whose minimum or maximum a form is."""
        own = {name: call for name in form.symbols() if (call := self.definitions.get(name)) and call[0] == function}
        for name, call in own.items() if len(own) == 1 else ():
            if form.terms.get((name,)) == 1 and sum(name in atoms for atoms in form.terms) == 1:
                return [form - symbol(name) + argument for argument in call.arguments]
        return [form]

    def _is_negative(self, form: Form, or_zero: bool = False) -> bool:
        """Return whether a form is negative for all inputs."""
        bound = self._lower(-form)
        return bound is not None and bound >= (0 if or_zero else 1)

    def _lower(self, form: Form) -> int | None:
        """Return a lower bound of a form, or None if no bound is known."""
        for terms in (basis.terms(form) for basis in self._bases):
            rest = ((atoms, factor) for atoms, factor in terms.items() if atoms and factor)
            if all(factor > 0 and self._unbounded.isdisjoint(atoms) for atoms, factor in rest):
                return terms.get((), 0)
        return None


def _is_below(own: list[Vector], pairs: Iterable[tuple[list[Vector], ...]]) -> bool:
    """Return whether a form never exceeds a weighted mean of one of the pairs, which shows in one of the bases."""
    return any(any(map(_is_below_mean, own, *pair)) for pair in pairs)


def _is_below_mean(own: Vector, one: Vector, two: Vector) -> bool:
    """Return whether no number exceeds a weighted mean of two others, with the same weights for all."""
    least, most = (0, 1), (1, 1)  # of the first weight, as fractions
    for size, first, second in zip(own, one, two, strict=True):
        slope, size = first - second, size - second
        if slope > 0:
            least = (size, slope) if size * least[1] > least[0] * slope else least
        elif slope:
            most = (-size, -slope) if size * most[1] > most[0] * slope else most
        elif size > 0:
            return False
        if least[0] * most[1] > most[0] * least[1]:
            return False
    return True


def _plain(value: Integer) -> Any:
    """Return the form of a traced value, or an integer as it is, with which forms are faster."""
    return value.form if isinstance(value, Traced) else value


def _form(value: Integer) -> Form:
    return value.form if isinstance(value, Traced) else lift(value)
