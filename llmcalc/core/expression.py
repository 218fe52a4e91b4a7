"""Arithmetic expressions in presets, axis lengths and printed formulas.

The same grammar reads ``$d_model * 4`` in a preset, ``ceil(q, chunk)`` in a declaration and
``n_heads·d_head·d_model`` in an explanation, so printed formulas can be evaluated.

    sum     := product (("+" | "-") product)*
    product := factor (("*" | "·" | "/") factor)*      division must be exact
    factor  := integer | name | name "(" sum, ... ")" | "(" sum ")" | "-" factor
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from .errors import InputError, SizeError, UnknownNameError, short_repr

_TOKEN = re.compile(r"\s*(?:([0-9]+)|([A-Za-z_][A-Za-z_0-9]*)|(.))", re.DOTALL)
_LONGEST = 400
_DEEPEST = 40
Tree = tuple[Any, ...]


def evaluate(text: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """Evaluate ``text`` on integers, closed forms or arrays.

    >>> evaluate("4 * (d_model - 1)", {"d_model": 3})
    8

    Raises:
        UnknownNameError: unknown name or function.
        SizeError: a division is not exact.
        InputError: ``text`` is not an expression.
    """
    return _value(parse(text), names, functions or {}, text)


@lru_cache(maxsize=4096)
def parse(text: str) -> Tree:
    """Return the syntax tree: ``("+", left, right)``, ``("int", n)``, ``("name", x)``, ``("call", f, args)``."""
    if len(text) > _LONGEST:
        raise InputError(f"expression too long: {len(text)} characters, at most {_LONGEST} are allowed")
    tokens = [match.groups() for match in _TOKEN.finditer(text) if match.group().strip()]
    tree, rest = _sum(tokens, 0, text, 0)
    if rest != len(tokens):
        raise _unexpected(tokens, rest, text)
    return tree


def _sum(tokens: list[Any], at: int, text: str, depth: int) -> tuple[Tree, int]:
    if depth > _DEEPEST:
        raise InputError(f"{short_repr(text)} has more than {_DEEPEST} nested parentheses")
    tree, at = _product(tokens, at, text, depth)
    while at < len(tokens) and tokens[at][2] in ("+", "-"):
        operator = tokens[at][2]
        right, at = _product(tokens, at + 1, text, depth)
        tree = (operator, tree, right)
    return tree, at


def _product(tokens: list[Any], at: int, text: str, depth: int) -> tuple[Tree, int]:
    tree, at = _factor(tokens, at, text, depth)
    while at < len(tokens) and tokens[at][2] in ("*", "·", "/"):
        operator = "/" if tokens[at][2] == "/" else "*"
        right, at = _factor(tokens, at + 1, text, depth)
        tree = (operator, tree, right)
    return tree, at


def _factor(tokens: list[Any], at: int, text: str, depth: int) -> tuple[Tree, int]:
    if at >= len(tokens):
        raise InputError(f"{short_repr(text)} is incomplete: expected a number or a name")
    number, name, sign = tokens[at]
    if number:
        return ("int", int(number)), at + 1
    if name:
        if at + 1 < len(tokens) and tokens[at + 1][2] == "(":
            return _call(name, tokens, at + 2, text, depth)
        return ("name", name), at + 1
    if sign == "(":
        tree, at = _sum(tokens, at + 1, text, depth + 1)
        return tree, _expect(")", tokens, at, text)
    if sign == "-":
        if depth > _DEEPEST:
            raise InputError(f"{short_repr(text)} has more than {_DEEPEST} nested signs")
        tree, at = _factor(tokens, at + 1, text, depth + 1)
        return ("-", ("int", 0), tree), at
    raise _unexpected(tokens, at, text)


def _call(name: str, tokens: list[Any], at: int, text: str, depth: int) -> tuple[Tree, int]:
    arguments = []
    while True:
        argument, at = _sum(tokens, at, text, depth + 1)
        arguments.append(argument)
        if at < len(tokens) and tokens[at][2] == ",":
            at += 1
            continue
        return ("call", name, tuple(arguments)), _expect(")", tokens, at, text)


def _expect(sign: str, tokens: list[Any], at: int, text: str) -> int:
    if at < len(tokens) and tokens[at][2] == sign:
        return at + 1
    hint = "inside { and }, quote texts that contain a comma" if "," not in text else ""
    raise InputError(f"{short_repr(text)} is missing a {sign!r}", hint=hint)


def _unexpected(tokens: list[Any], at: int, text: str) -> InputError:
    found = next(filter(None, tokens[at]))
    return InputError(f"{short_repr(text)} is not an expression: unexpected {found!r}")


def _value(tree: Tree, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]], text: str) -> Any:
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
            return functions[name](*(_value(argument, names, functions, text) for argument in arguments))
        case (operator, left_tree, right_tree):
            left, right = _value(left_tree, names, functions, text), _value(right_tree, names, functions, text)
            if operator == "+":
                return left + right
            if operator == "-":
                return left - right
            if operator == "*":
                return left * right
            return _exact_quotient(left, right, text)
    raise AssertionError(tree)


def _exact_quotient(left: Any, right: Any, text: str) -> Any:
    if right == 0:
        raise SizeError(f"{short_repr(text)} divides by zero")
    if left % right:
        raise SizeError(
            f"{short_repr(text)} is {left} / {right}, which leaves a remainder", hint="ceil(a, b) rounds up"
        )
    return left // right
