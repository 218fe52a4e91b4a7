"""Closed forms, represented as polynomials in workload symbols with exact integer coefficients.

The matmul FLOPs of GPT-3's forward pass are ``349,127,467,008·b·q + 4,718,592·b·q·k``. Forms can be printed and
evaluated for a single workload or for arrays. Non-polynomial functions such as ``ceil(a, b)``, ``min(a, b)``,
``pairs(q, k, w)`` and ``log2(n)`` are atoms.

>>> form = 4 * symbol("q") * (symbol("q") + 3)
>>> print(form)
12·q + 4·q·q
>>> form(q=2)
40
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from .errors import UnknownNameError
from .record import NamedTuple
from .type_names import Any


class Call(NamedTuple):
    """An atom that applies a function to forms and integers."""

    function: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


class Symbolic:
    """Base class of values that stand for integers that are not known."""

    __slots__ = ()
    is_symbolic = True

    def apply(self, function: str, arguments: tuple[Any, ...]) -> Any:
        """Return a function of symbolic values and integers."""
        raise NotImplementedError

    def name(self, name: str) -> None:
        """Set the name that a reader sees for the value, if its class has one."""


Atom = str | Call
Monomial = tuple[Atom, ...]


def _order(atom: Atom) -> tuple[int, str]:
    text = str(atom)
    place = "bnqopasckd".find(text)
    return (place if place >= 0 else len(text) + 10, text)


@lru_cache(maxsize=4096)
def _product(left: Monomial, right: Monomial) -> Monomial:
    return tuple(sorted(left + right, key=_order))


class Form(Symbolic):
    """An immutable sum of terms ``coefficient · atom · atom ...``.

    The operators ``+``, ``-`` and ``*`` accept forms and integers. Calling a form evaluates it exactly for integers
    and elementwise for arrays of floats.
    """

    __slots__ = ("terms",)
    terms: Mapping[Monomial, int]

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        if not all(terms.values()):
            terms = {monomial: factor for monomial, factor in terms.items() if factor}
        object.__setattr__(self, "terms", terms)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Form objects are immutable")

    def apply(self, function: str, arguments: tuple[Any, ...]) -> Form:
        """Return an atom that applies a function to forms and integers."""
        return Form({(Call(function, arguments),): 1})

    def __add__(self, other: Form | int) -> Form:
        total = dict(self.terms)
        for monomial, factor in (other if isinstance(other, Form) else lift(other)).terms.items():
            total[monomial] = total.get(monomial, 0) + factor
        return Form(total)

    def __mul__(self, other: Form | int) -> Form:
        if isinstance(other, int):
            return self if other == 1 else Form({monomial: factor * other for monomial, factor in self.terms.items()})
        total: dict[Monomial, int] = {}
        for left, left_factor in self.terms.items():
            for right, right_factor in (other if isinstance(other, Form) else lift(other)).terms.items():
                monomial = _product(left, right)
                total[monomial] = total.get(monomial, 0) + left_factor * right_factor
        return Form(total)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Form:
        return self * -1

    def __sub__(self, other: Form | int) -> Form:
        return self + -lift(other)

    def __rsub__(self, other: Form | int) -> Form:
        return lift(other) - self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Form, int)) and self.terms == lift(other).terms

    def __hash__(self) -> int:  # a constant form equals its integer
        return hash(self.terms.get((), 0) if self.terms.keys() <= {()} else frozenset(self.terms.items()))

    def __str__(self) -> str:
        def term(monomial: Monomial, factor: int) -> str:
            return "·".join([*([f"{factor:,}"] if factor != 1 or not monomial else []), *map(str, monomial)])

        ordered = sorted(self.terms.items(), key=lambda item: (len(item[0]), [_order(atom) for atom in item[0]]))
        return " + ".join(term(monomial, factor) for monomial, factor in ordered) or "0"

    def __repr__(self) -> str:
        return f"Form({self})"

    def __call__(self, **workload: Any) -> Any:
        """Evaluate the form for a workload, such as ``form(b=1, q=2048, k=2048)``.

        Raises:
            UnknownNameError: if a symbol has no value.
        """
        total: Any = 0
        known: Mapping[Any, Any] = workload
        for monomial, factor in self.terms.items():
            value: Any = factor
            for atom in monomial:
                value = value * (known[atom] if type(atom) is str and atom in known else _value(atom, known))
            total = total + value
        return total

    def symbols(self) -> frozenset[str]:
        """Return the workload symbols that the form depends on."""
        atoms = {atom for monomial in self.terms for atom in monomial}
        inner = (lift(argument).symbols() for atom in atoms if isinstance(atom, Call) for argument in atom.arguments)
        return frozenset(atom for atom in atoms if isinstance(atom, str)).union(*inner)


def _value(atom: Atom, workload: Mapping[str, Any]) -> Any:
    if isinstance(atom, str):
        raise UnknownNameError("workload symbol", atom, workload)
    own = [argument if isinstance(argument, int) else argument(**workload) for argument in atom.arguments]
    return FUNCTIONS[atom.function](*own)


def product(factors: Iterable[Form | int]) -> Form:
    """Multiply closed forms and integers.

    >>> print(product([2, symbol("q"), 3]))
    6·q
    """
    form: Form | None = None
    whole = 1
    for factor in factors:
        if isinstance(factor, Form):
            form = factor if form is None else form * factor
        else:
            whole *= factor
    return lift(whole) if form is None else form * whole if whole != 1 else form


def without_remainders(form: Form) -> Form:
    """Replace ``mod(n, z)`` by its largest value so far as n grows, ``min(n, z - 1)``, where it increases a form.

    >>> print(without_remainders(3 * remainder(symbol("k"), 8)))
    3·min(k, 7)
    """
    total = lift(0)
    for monomial, factor in form.terms.items():
        term = lift(factor)
        for atom in monomial:
            known: Form = Form({(atom,): 1})
            if isinstance(atom, Call) and factor > 0:
                inner = [without_remainders(each) if isinstance(each, Form) else each for each in atom.arguments]
                is_rest = atom.function == "mod" and isinstance(inner[1], int)
                known = minimum(inner[0], inner[1] - 1) if is_rest else Form({(Call(atom.function, tuple(inner)),): 1})
            term = term * known
        total = total + term
    return total


def lift(value: Form | int) -> Form:
    """Convert an integer to a form. Forms are returned unchanged.

    Raises:
        TypeError: if the value is neither a form nor an integer (floats are not exact).
    """
    if isinstance(value, Form):
        return value
    if not isinstance(value, int):
        raise TypeError(f"Form coefficients must be integers, not {value!r}")
    return Form({(): value})


def symbol(name: str) -> Form:
    """Return a form that consists of one workload symbol."""
    return Form({(name,): 1})


def _atom(function: str, *arguments: Any) -> Any:
    return next(value for value in arguments if isinstance(value, Symbolic)).apply(function, arguments)


def _is_symbolic(*values: Any) -> bool:
    return any(isinstance(value, Symbolic) for value in values)


def ceil(a: Any, b: Any) -> Any:
    """Return ``a / b`` rounded up."""
    return _atom("ceil", a, b) if _is_symbolic(a, b) else -(-a // b)


def minimum(a: Any, b: Any) -> Any:
    """Return the minimum of two values, elementwise for arrays."""
    return _atom("min", a, b) if _is_symbolic(a, b) else _half(a + b - abs(a - b))


def maximum(a: Any, b: Any) -> Any:
    """Return the maximum of two values, elementwise for arrays."""
    return _atom("max", a, b) if _is_symbolic(a, b) else _half(a + b + abs(a - b))


def remainder(a: Any, b: Any) -> Any:
    """Return the remainder of ``a / b``."""
    return _atom("mod", a, b) if _is_symbolic(a, b) else a % b


def log2(n: Any) -> Any:
    """Return the number of stages of a radix-2 FFT with ``n`` points (``log2(n)`` rounded up)."""
    if _is_symbolic(n):
        return _atom("log2", n)
    if isinstance(n, int):
        return (max(n, 1) - 1).bit_length()
    namespace = n.__array_namespace__()
    return namespace.ceil(namespace.log2(n))


def pairs(q: Any, k: Any, w: Any = 0) -> Any:
    """Return the number of unmasked (query, key) pairs for the last ``q`` of ``k`` tokens under a causal mask.

    If ``w`` is nonzero, each query attends to at most ``w`` tokens, including its own.

    >>> pairs(3, 3), pairs(3, 3, 2), pairs(1, 100), pairs(1, 100, 8)
    (6, 5, 100, 8)
    """
    if isinstance(q, int) and q == 1 and isinstance(w, int):
        return minimum(k, w) if w else k
    if _is_symbolic(q, k, w):
        return _atom("pairs", q, k, w) if _is_symbolic(w) or w else _atom("pairs", q, k)
    cached = k - q
    if isinstance(w, int) and w == 0:
        return q * cached + _half(q * (q + 1))
    growing = minimum(maximum(w - cached, 0), q)
    return growing * cached + _half(growing * (growing + 1)) + (q - growing) * w


def chunk_pairs(q: Any, k: Any, z: Any) -> Any:
    """Return the number of unmasked (query, key) pairs under a causal mask within chunks of ``z`` tokens.

    >>> chunk_pairs(5, 5, 2)
    7
    """
    if isinstance(q, int) and q == 1:
        return remainder(k - 1, z) + 1
    if _is_symbolic(q, k, z):
        return _atom("chunk_pairs", q, k, z)
    after, before = (n // z * (z * (z + 1) // 2) + _half(n % z * (n % z + 1)) for n in (k, k - q))
    return after - before


def touched(n: Any, j: Any, tokens: Any) -> Any:
    """Return the expected number of distinct entries used if each token selects ``j`` of ``n`` entries uniformly.

    The value is ``n (1 - (1 - j/n)^tokens)``, which is not an integer except for a single token.

    >>> touched(128, 4, 1), round(touched(128, 4, 64), 2)
    (4.0, 111.22)
    """
    return _atom("touched", n, j, tokens) if _is_symbolic(n, j, tokens) else n * (1 - (1 - j / n) ** tokens)


def _half(even: Any) -> Any:
    """Return half of an even number. Arrays use true division because floor division is much slower."""
    return even // 2 if isinstance(even, int) else even / 2


FUNCTIONS: dict[str, Any] = {function.__name__: function for function in (ceil, log2, pairs, chunk_pairs, touched)}
FUNCTIONS |= {"min": minimum, "max": maximum, "mod": remainder}
