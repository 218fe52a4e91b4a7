"""Arithmetic expressions in presets, axis lengths and printed formulas.

The same grammar covers ``$d_model * 4`` in a preset, ``ceil(q, chunk)`` in a declaration and
``n_heads·d_head·d_model`` in an explanation, so printed formulas can be evaluated.

    sum     := product (("+" | "-") product)*
    product := factor (("*" | "·" | "/") factor)*      exact, except inside ceil and round_up
    factor  := integer | name | name "(" sum, ... ")" | "(" sum ")" | "-" factor
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from .errors import InputError, SizeError, UnknownNameError, short_repr
from .type_names import Any

_TOKEN = re.compile(r"(?a)(\d+)|(\w+)|(\S)")  # a number, a name or a sign
_LONGEST = 400
_DEEPEST = 40
_ROUNDING = ("ceil", "round_up")  # functions whose arguments may be fractions
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
Tree = tuple[Any, ...]


def evaluate(text: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """Evaluate an expression whose names are bound to integers, closed forms or arrays.

    >>> evaluate("4 * (d_model - 1)", {"d_model": 3})
    8
    """
    return _value(parse(text), names, functions or {}, text)


@lru_cache(maxsize=4096)
def parse(text: str) -> Tree:
    """Parse an expression into nested tuples such as ``("+", left, right)``, ``("int", n)`` and ``("name", x)``."""
    if len(text) > _LONGEST:
        raise InputError(f"the expression has {len(text)} characters, more than the limit of {_LONGEST}")
    parser = _Parser(text)
    tree = parser.sum()
    if parser.at != len(parser.tokens):
        raise parser.unexpected()
    return tree


def names_in(text: str) -> frozenset[str]:
    """Return the names in an expression, excluding function names.

    >>> sorted(names_in("min(c, w - 1) + q"))
    ['c', 'q', 'w']
    """
    return frozenset(tree[1] for tree in subtrees(parse(text)) if tree[0] == "name")


def words_in(text: str) -> list[str]:
    """Return the names in a text, including function names. The text need not be a valid expression."""
    return [name for _, name, _ in _TOKEN.findall(text) if name]


def subtrees(tree: Tree) -> Iterator[Tree]:
    """Yield a parsed expression and all of its subexpressions."""
    yield tree
    for part in tree[2] if tree[0] == "call" else tree[1:]:
        if isinstance(part, tuple):
            yield from subtrees(part)


class _Parser:
    """Recursive-descent parser. ``at`` is the index of the next token, and ``depth`` is the nesting depth."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.tokens: list[tuple[str, str, str]] = _TOKEN.findall(text)

    def sum(self) -> Tree:
        if self.depth > _DEEPEST:
            raise InputError(f"{short_repr(self.text)} is nested more than {_DEEPEST} levels deep")
        return self.chain("+-", lambda: self.chain("*·/", self.factor))

    def chain(self, operators: str, operand: Callable[[], Tree]) -> Tree:
        tree = operand()
        while sign := self.take(operators):
            tree = (sign.replace("·", "*"), tree, operand())
        return tree

    def factor(self) -> Tree:
        if self.at >= len(self.tokens):
            raise InputError(f"{short_repr(self.text)} is incomplete: expected a number or a name")
        number, name, _ = self.tokens[self.at]
        if number or name:
            self.at += 1
            if number:
                return ("int", int(number))
            return ("call", name, self.arguments()) if self.take("(") else ("name", name)
        if self.take("("):
            (tree,) = self.arguments(several=False)
            return tree
        if self.take("-"):
            if self.depth > _DEEPEST:
                raise InputError(f"{short_repr(self.text)} has more than {_DEEPEST} consecutive signs")
            return ("-", ("int", 0), self.nested(self.factor))
        raise self.unexpected()

    def arguments(self, several: bool = True) -> tuple[Tree, ...]:
        """Parse arguments up to the closing parenthesis."""
        found = [self.nested(self.sum)]
        while several and self.take(","):
            found.append(self.nested(self.sum))
        if not self.take(")"):
            hint = "quote text that contains a comma inside { and }" if "," not in self.text else ""
            raise InputError(f"{short_repr(self.text)} is missing a ')'", hint=hint)
        return tuple(found)

    def nested(self, rule: Callable[[], Tree]) -> Tree:
        self.depth += 1
        tree = rule()
        self.depth -= 1
        return tree

    def take(self, signs: str) -> str:
        """Consume and return the next token if it is in ``signs``. Otherwise, return an empty string."""
        sign = self.tokens[self.at][2] if self.at < len(self.tokens) else ""
        if not sign or sign not in signs:
            return ""
        self.at += 1
        return sign

    def unexpected(self) -> InputError:
        found = next(filter(None, self.tokens[self.at]))
        return InputError(f"invalid expression {short_repr(self.text)}: unexpected {found!r}")


def _value(
    tree: Tree, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]], text: str, rounds: bool = False
) -> Any:
    """Return the value of a parsed expression. If a function ``rounds`` it later, it may be a fraction."""
    match tree:
        case ("int", number):
            return number
        case ("name", name):
            if name not in names:
                raise UnknownNameError("name", name, names, hint=f"in the expression {short_repr(text)}")
            return names[name]
        case ("call", name, arguments):
            if name not in functions:
                raise UnknownNameError("function", name, functions, hint=f"in the expression {short_repr(text)}")
            inside = rounds or name in _ROUNDING
            return functions[name](*(_value(argument, names, functions, text, inside) for argument in arguments))
    left, right = (_value(operand, names, functions, text, rounds) for operand in tree[1:])
    if tree[0] != "/":
        return _OPERATORS[tree[0]](left, right)
    if right == 0:
        raise SizeError(f"{short_repr(text)} divides by zero")
    if left % right:
        if rounds:
            from fractions import Fraction  # slow to import, and rarely needed

            return Fraction(left, right)
        message = f"{short_repr(text)} is {left} / {right}, which is not an integer"
        raise SizeError(message, hint="use ceil(a, b) to round up")
    return left // right
