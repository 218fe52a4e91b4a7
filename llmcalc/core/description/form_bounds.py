"""Bounds of closed forms that hold for all values of their symbols from given lower bounds up.

``core/description/traced.py`` uses them to decide which comparisons have the same outcome for all inputs.

>>> bounds = Bounds({"n": 1})
>>> n = symbol("n")
>>> bounds.lower(3 * n - 1), bounds.lower(-n), bounds.undominated("max", [n, 2 * n, n + 5])
(2, None, [Form(2·n), Form(5 + n)])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations_with_replacement, pairwise, product
from operator import le
from typing import Any

from ..form import Atom, Call, Form, Monomial, lift, symbol

Terms = dict[Monomial, int]
Vector = list[int]
MOST_CANDIDATES = 40
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


class Bounds:
    """Lower bounds of symbols, and of the forms and functions of them."""

    def __init__(self, least: Mapping[str, int]) -> None:
        self._least: dict[Atom, int] = dict(least.items())
        self._unbounded = set[Atom]()
        self._bases = [Basis(self._least)]
        self._chunks: dict[tuple[str, str, int], tuple[Basis, dict[int, str]]] = {}

    def add(self, name: str, call: Call) -> None:
        """Add a symbol whose value is a function of forms."""
        bound = self._bound(*call)
        if bound is not None and bound >= 0:
            self._least[name] = bound
            self._add_basis(name, *call)
        else:
            self._unbounded.add(name)

    def lower(self, form: Form) -> int | None:
        """Return a lower bound of a form, or None if no bound is known."""
        for terms in (basis.terms(form) for basis in self._bases):
            rest = ((atoms, factor) for atoms, factor in terms.items() if atoms and factor)
            if all(factor > 0 and self._unbounded.isdisjoint(atoms) for atoms, factor in rest):
                return terms.get((), 0)
        return None

    def is_negative(self, form: Form, or_zero: bool = False) -> bool:
        """Return whether a form is negative for all inputs."""
        bound = self.lower(-form)
        return bound is not None and bound >= (0 if or_zero else 1)

    def undominated(self, function: str, forms: Iterable[Form]) -> list[Form]:
        """Return the forms that may be the minimum or maximum.

        A form is not the maximum if a weighted mean of two others is never smaller, as for equal blocks between the
        first and the last. If more than MOST_CANDIDATES are left, the result may have forms that are dominated.
        """
        sign, found = -1 if function == "min" else 1, list[tuple[Form, list[Vector]]]()
        distinct = self._undominated_by_one(sign, list(dict.fromkeys(forms)))
        if len(distinct) == 1:
            return distinct
        vectors = dict(zip(distinct, self._vectors([form * sign for form in distinct], self._bases), strict=True))
        for number in range(len(distinct)):  # from both ends to the middle
            form = distinct[-1 - number // 2 if number % 2 else number // 2]
            own = vectors[form]
            if not _is_below(own, combinations_with_replacement([vector for _, vector in found], 2)):
                kept = list(found)
                for entry in found:
                    rest = [own, *(vector for known, vector in kept if known is not entry[0])]
                    if _is_below(entry[1], product([own], rest)):
                        kept.remove(entry)
                found = [*kept, (form, own)]
            if len(found) > MOST_CANDIDATES:
                return distinct
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
        bounds = [self.lower(form) for form in arguments]
        known = [bound for bound in bounds if bound is not None]
        if function == "max":
            return max(known, default=None)
        if len(known) < len(bounds) or function == "min":
            return min(known) if len(known) == len(bounds) else None
        factor = arguments[1].terms.get((), 0)
        if arguments[1] == factor:
            return int(FUNCTIONS[function](known[0], factor))
        return min(known[0], 1) if function == "ceil" else min(known[0], 0)


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
