"""Functions of integers that are traced, and compiled to closed forms for integers and arrays.

>>> def bytes_of(n):
...     return 2 * n if n < 1000 else 3 * n + 7
>>> compiled = CompiledFunction(bytes_of, {"n": 1})
>>> compiled(n=5), compiled(n=2000), [str(piece) for piece in compiled.pieces]
(10, 6007, ['2 × n if n ≤ 999', '3 × n + 7 if n ≥ 1,000'])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, reduce
from math import prod
from typing import Any

from ..errors import LlmcalcError
from ..form import Call, Form, lift, symbol
from .form_bounds import FUNCTIONS
from .notation import Notation
from .traced import Traced, Tracer

MOST_PIECES = 64
LARGEST = 2**63 - 1  # of 64-bit integers
# a form without divisors of 0 where its guards are satisfied; elsewhere, its result is not used
GUARDED = FUNCTIONS | {
    "floor": lambda a, b: a // (b + (b == 0)),
    "ceil": lambda a, b: -(-a // (b + (b == 0))),
}
Array = Any  # of NumPy or another library that implements the array API


class ClosedForm:
    """The result of a trace, as a closed form for all inputs that satisfy the guards.

    Attributes:
        inputs: names of the inputs.
        definitions: functions of forms that symbols of later definitions, the guards and the result stand for.
        guards: forms that must not be negative.
        result: form of the result.
        names: names of definitions for readers.
        labels: labels of forms, such as of those whose maximum the result is.
    """

    def __init__(self, trace: Tracer, result: Form) -> None:
        self.names, self.labels = trace.names, trace.labels
        self.inputs, self.guards, self.result = tuple(trace.inputs), tuple(trace.guards), result
        self.definitions = _needed(trace.definitions, (result, *self.guards))

    def __str__(self) -> str:
        writer = Notation(self.definitions, self.names)
        text, conditions = writer.text(self.result), " and ".join(writer.conditions(self.guards))
        where = ", ".join(f"{name} = {value}" for name, value in writer.where())
        return "".join((text, f" if {conditions}" if conditions else "", f", where {where}" if where else ""))

    @property
    def largest(self) -> tuple[Form, ...]:
        """Forms of which the result is the largest, or the result."""
        for name, call in self.definitions.items():
            if call.function == "max" and self.result == symbol(name):
                return tuple(map(lift, call.arguments))
        return (self.result,)

    def to_dict(self) -> dict[str, Any]:
        """Return the forms as texts in the grammar of ``core/expression.py``, with the function ``floor(a, b)``."""
        return {
            "where": [form_text(guard) for guard in self.guards],
            "let": {name: call_text(call) for name, call in self.definitions.items()},
            "value": form_text(self.result),
        }

    @cached_property
    def source(self) -> tuple[str, str]:
        """Python code of the functions that compute whether the guards are satisfied, and the result."""
        guards = " & ".join(f"({form_text(guard)} >= 0)" for guard in self.guards) or "True"
        return self._function(guards, self.guards), self._function(form_text(self.result), (self.result,))

    def _function(self, value: str, forms: Iterable[Form]) -> str:
        lines = (f"{name} = {call_text(call)}" for name, call in _needed(self.definitions, forms).items())
        body = "\n    ".join((*lines, f"return {value}"))
        return f"def value({', '.join(self.inputs)}):\n    {body}\n"

    @cached_property
    def functions(self) -> tuple[Callable[..., bool], Callable[..., int]]:
        """Functions of integers that return whether the guards are satisfied, and the result."""
        holds, value = (_compiled(text, GUARDED) for text in self.source)
        return holds, value

    def array_functions(self, namespace: Any) -> tuple[Callable[..., Array], Callable[..., Array]]:
        """Return functions of arrays, which compute what ``functions`` do for each element."""
        smallest, largest = namespace.minimum, namespace.maximum
        elementwise = {"min": lambda *each: reduce(smallest, each), "max": lambda *each: reduce(largest, each)}
        holds, value = (_compiled(text, GUARDED | elementwise) for text in self.source)
        return holds, value

    def bound(self, largest: Mapping[str, int]) -> int:
        """Return a bound of the magnitudes of all intermediate results, if no input exceeds ``largest``."""
        known = dict(largest)
        for name, call in self.definitions.items():
            known[name] = max(_magnitude(form, known) for form in call.arguments) + 1
        return max(*known.values(), *(_magnitude(form, known) for form in (self.result, *self.guards)))


class CompiledFunction:
    """A function of integers that is traced when it is first called, and once for each set of guards.

    Calls with arrays evaluate the forms elementwise, with Python integers where 64 bits are not sufficient. Inputs for
    which the function cannot be traced are computed one by one.

    Attributes:
        compute: the function. It must not depend on anything else that changes.
        least: lower bound of each input.
        most_pieces: number of closed forms after which other inputs are computed one by one.
        pieces: closed forms known so far. The first whose guards are satisfied applies.
    """

    def __init__(self, compute: Callable[..., Any], least: Mapping[str, int], most_pieces: int = MOST_PIECES) -> None:
        self.compute, self.least, self.most_pieces = compute, dict(least), most_pieces
        self.pieces: list[ClosedForm] = []
        self._is_traceable = True

    def __call__(self, **sizes: Any) -> Any:
        """Return the value for integers, or an array of values for arrays and integers."""
        if any(hasattr(size, "__array_namespace__") for size in sizes.values()):
            return self._over(sizes)
        for piece in self.pieces:
            holds, value = piece.functions
            if holds(**sizes):
                return value(**sizes)
        found = self._trace(sizes)
        return found.functions[1](**sizes) if found else self.compute(**sizes)

    @property
    def can_trace(self) -> bool:
        """Whether more closed forms can be traced."""
        return self._is_traceable and len(self.pieces) < self.most_pieces

    def _trace(self, sizes: Mapping[str, int]) -> ClosedForm | None:
        """Trace and add the closed form for the given sizes, or return None if they cannot be traced."""
        if not self.can_trace:
            return None
        trace = Tracer(sizes, self.least)
        try:
            result = self.compute(**trace.inputs)
        except LlmcalcError:
            return None  # ``compute`` raises the error of these inputs
        except TypeError:
            self._is_traceable = False
            return None
        found = ClosedForm(trace, result.form if isinstance(result, Traced) else lift(result))
        self.pieces.append(found)
        return found

    def _over(self, sizes: Mapping[str, Any]) -> Array:
        arrays = [size for size in sizes.values() if hasattr(size, "__array_namespace__")]
        library = arrays[0].__array_namespace__()
        columns = library.broadcast_arrays(*(library.asarray(size) for size in sizes.values()))
        shape, inputs = columns[0].shape, {name: column.ravel() for name, column in zip(sizes, columns, strict=True)}
        left, number = library.arange(inputs[next(iter(inputs))].size), 0
        found = library.empty(left.size, dtype=library.int64)
        largest = {name: int(column.max()) for name, column in inputs.items()} if left.size else {}
        while left.size:
            if number == len(self.pieces) and self._trace(_at(inputs, left[0])) is None:
                some = left[:1] if self.can_trace else left  # other inputs may have a closed form
                found = found.astype(object)
                found[some] = [self.compute(**_at(inputs, place)) for place in some]
                left = left[some.size :]
                continue
            piece, number = self.pieces[number], number + 1
            is_large = piece.bound(largest) > LARGEST
            some = inputs if left.size == found.size else {name: column[left] for name, column in inputs.items()}
            some = {name: column.astype(object if is_large else library.int64) for name, column in some.items()}
            holds, value = piece.array_functions(library)
            inside = library.broadcast_to(library.asarray(holds(**some), dtype=bool), left.shape)
            some = some if inside.all() else {name: column[inside] for name, column in some.items()}
            found = found.astype(object) if is_large and found.dtype != object else found
            found[left[inside]] = value(**some)
            left = left[~inside]
        return found.reshape(shape)


def form_text(form: Form) -> str:
    """Return a form in the grammar of ``core/expression.py``.

    >>> from ..form import pairs, symbol
    >>> form_text(3 - 2 * symbol("b") * symbol("q") + symbol("q"))
    '3 + q - 2*b*q'
    >>> form_text(7 * pairs(2048 * symbol("q"), symbol("k")))
    '7*pairs(2048*q, k)'
    """
    text = ""
    named = [
        ([each if isinstance(each, str) else call_text(each) for each in atoms], n) for atoms, n in form.terms.items()
    ]
    for atoms, factor in sorted(named, key=lambda term: (len(term[0]), term[0])):
        size = abs(factor)
        term = "*".join([*([str(int(size))] if size != 1 or not atoms else []), *atoms])
        text += f"{' - ' if factor < 0 else ' + '}{term}" if text else f"{'-' if factor < 0 else ''}{term}"
    return text or "0"


def call_text(call: Call) -> str:
    """Return a function of forms in the grammar of ``core/expression.py``."""
    return f"{call.function}({', '.join(form_text(lift(each)) for each in call.arguments)})"


def _needed(definitions: Mapping[str, Call], forms: Iterable[Form]) -> dict[str, Call]:
    """Return the definitions of the symbols that forms depend on, in order."""
    needed = frozenset[str]().union(*(form.symbols() for form in forms))
    found: dict[str, Call] = {}
    for name, call in reversed(list(definitions.items())):
        if name in needed:
            needed = needed.union(*(form.symbols() for form in call.arguments))
            found[name] = call
    return dict(reversed(list(found.items())))


def _compiled(source: str, functions: Mapping[str, Callable[..., Any]]) -> Any:
    names = dict[str, Any](functions)
    exec(source, names)
    return names["value"]


def _magnitude(form: Form, known: Mapping[str, int]) -> int:
    """Return a bound of the sum of a form's terms and of each partial sum."""
    return sum(abs(factor) * prod(known[str(atom)] for atom in atoms) for atoms, factor in form.terms.items())


def _at(inputs: Mapping[str, Array], place: Any) -> dict[str, int]:
    return {name: int(column[place]) for name, column in inputs.items()}
