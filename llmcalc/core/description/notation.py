"""Closed forms in the notation of mathematics, for readers.

>>> from ..form import Call, symbol
>>> context = symbol("context")
>>> Notation().text(2048 * context * symbol("batch") - 3)
'2,048 × batch × context − 3'
>>> Notation({"t1": Call("ceil", (context, 128))}).text(symbol("t1") * symbol("t1"))
'⌈context / 128⌉²'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from math import gcd

from ..form import Atom, Call, Form, Monomial, lift, symbol

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
SIGNS = {
    "⌈ ⌉": "rounded up",
    "⌊ ⌋": "rounded down",
    "mod": "remainder of a division",
    "pairs": "pairs of queries and the keys that they attend to",
    "touched": "expected number of experts that tokens use",
}
FENCES = {"ceil": ("⌈", "⌉"), "floor": ("⌊", "⌋")}


def signs_in(text: str) -> list[tuple[str, str]]:
    """Return the signs and functions in a text that a reader may not know, with their meanings."""
    return [(sign, meaning) for sign, meaning in SIGNS.items() if sign.split()[0] in text]


class Notation:
    """Writer of forms. Derived symbols are written with their names, or else as what they stand for.

    Attributes:
        definitions: functions of forms that derived symbols stand for.
        names: names of symbols.
        used: symbols that were written, in order.
    """

    def __init__(self, definitions: Mapping[str, Call] | None = None, names: Mapping[str, str] | None = None) -> None:
        self.definitions, self.names = definitions or {}, names or {}
        self.used: dict[str, None] = {}

    def text(self, form: Form | int) -> str:
        """Write a form as a sum. Products of symbols come first, and the constant last."""
        products = [(self._product(atoms, abs(n)), n < 0, not atoms) for atoms, n in lift(form).terms.items()]
        products.sort(key=lambda each: (each[2], "(" in each[0] or "⌈" in each[0] or "⌊" in each[0], each[1]))
        found = "".join(f"{' − ' if is_negative else ' + '}{text}" for text, is_negative, _ in products)
        return f"−{found[3:]}" if found.startswith(" −") else found[3:] or "0"

    def _product(self, atoms: Monomial, factor: int) -> str:
        powers = Counter(map(self._atom, atoms))
        texts = [text if n == 1 else f"{_factor(text)}{str(n).translate(SUPERSCRIPTS)}" for text, n in powers.items()]
        texts.sort(key=lambda text: not text.isidentifier())
        return " × ".join([*([f"{factor:,}"] if factor != 1 or not atoms else []), *texts])

    def _atom(self, atom: Atom) -> str:
        if isinstance(atom, Call):
            return self.call(atom)
        if atom in self.names or atom not in self.definitions:
            self.used[atom] = None
            return self.names.get(atom, atom)
        return self.call(self.definitions[atom])

    def call(self, call: Call) -> str:
        """Write a function of forms."""
        texts = list(map(self.text, self._shortened(call)))
        if call.function in FENCES:
            left, right = FENCES[call.function]
            return f"{left}{_factor(texts[0])} / {_factor(texts[1])}{right}"
        if call.function == "mod":
            return f"({_factor(texts[0])} mod {_factor(texts[1])})"
        return f"⌈log₂({texts[0]})⌉" if call.function == "log2" else f"{call.function}({', '.join(texts)})"

    def _shortened(self, call: Call) -> tuple[Form | int, ...]:
        """Return the arguments of a call, with those of a named minimum or maximum replaced by its name."""
        for name in self.names if call.function in ("min", "max") else ():
            other = self.definitions.get(name)
            if other and other.function == call.function and set(other.arguments) < set(call.arguments):
                return symbol(name), *(each for each in call.arguments if each not in other.arguments)
        return call.arguments

    def where(self) -> list[tuple[str, str]]:
        """Return the names that were written, with what each one stands for, in order of definition."""
        found: dict[str, str] = {}
        while left := [name for name in self.used if name in self.definitions and name not in found]:
            found |= {name: self.call(self.definitions[name]) for name in left}
        return [(self.names[name], found[name]) for name in self.definitions if name in found]

    def condition(self, guard: Form, is_equation: bool = False) -> str:
        """Write that a form is not negative, or that it is zero, as a comparison of sums without common factors."""
        is_strict = not is_equation and guard.terms.get(()) == -1
        terms = _shared(guard + 1 if is_strict else guard).terms.items()
        larger, smaller = (Form({atoms: sign * n for atoms, n in terms if sign * n > 0}) for sign in (1, -1))
        if not larger.symbols():
            return f"{self.text(smaller)} {'=' if is_equation else '<' if is_strict else '≤'} {self.text(larger)}"
        return f"{self.text(larger)} {'=' if is_equation else '>' if is_strict else '≥'} {self.text(smaller)}"

    def conditions(self, guards: tuple[Form, ...]) -> list[str]:
        """Write that forms are not negative. Two opposite forms are an equation."""
        first = [guard for number, guard in enumerate(guards) if -guard not in guards[:number]]
        return list(dict.fromkeys(self.condition(guard, is_equation=-guard in guards) for guard in first))


def _factor(text: str) -> str:
    """Return a text in parentheses if it is a sum or a product."""
    return f"({text})" if " " in text and not text.startswith(("⌈", "⌊", "min(", "max(")) else text


def _shared(form: Form) -> Form:
    """Return a form without the factors that all terms have."""
    factor = reduce(gcd, form.terms.values(), 0) or 1
    common: list[Atom] = []
    first, *others = form.terms or [()]
    for atom in first:
        if all(other.count(atom) > common.count(atom) for other in others):
            common.append(atom)

    def rest(atoms: Monomial) -> Monomial:
        left = list(atoms)
        for atom in common:
            left.remove(atom)
        return tuple(left)

    return Form({rest(atoms): size // factor for atoms, size in form.terms.items()})
