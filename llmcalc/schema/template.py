"""Variables of a preset: ``$d_model``, ``$4 * d_model`` and ``$n_layers - first_dense`` become values.

A text that begins with ``$`` is an expression over the preset's variables (core/expression.py); a lone name may hold any
value, a calculation gives an integer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import DescriptionError, InputError, shown
from ..core.expression import evaluate, parse
from ..core.form import FUNCTIONS

Path = tuple[Any, ...]


def round_up(value: int, multiple: int) -> int:
    """The least multiple of ``multiple`` that is not below ``value``."""
    return -(-value // multiple) * multiple


_FUNCTIONS: dict[str, Callable[..., Any]] = {name: FUNCTIONS[name] for name in ("ceil", "min", "max")}
_FUNCTIONS["round_up"] = round_up


def fill(value: Any, variables: Mapping[str, Any], path: Path, fail: Callable[[InputError, Path], InputError]) -> Any:
    """``value`` with every ``$`` expression replaced. ``fail`` places an error at a path of keys."""
    if isinstance(value, dict):
        return {key: fill(item, variables, (*path, key), fail) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, variables, (*path, index), fail) for index, item in enumerate(value)]
    if isinstance(value, str) and value.startswith("$"):
        try:
            return expression(value[1:], variables)
        except InputError as error:
            raise fail(error, path) from None
    return value


def expression(text: str, variables: Mapping[str, Any]) -> Any:
    """The value of one expression over the variables."""
    tree = parse(text)
    if tree[0] == "name" and tree[1] in variables:
        return variables[tree[1]]
    numbers = {name: value for name, value in variables.items() if type(value) is int}
    try:
        return evaluate(text, numbers, _FUNCTIONS)
    except InputError as error:
        wrong = [name for name in variables if name not in numbers and name in text.split()]
        if wrong:
            raise DescriptionError(f"{wrong[0]} is {shown(variables[wrong[0]])}, which cannot be calculated with") from None
        raise error
    except (TypeError, ZeroDivisionError, OverflowError) as error:
        raise DescriptionError(f"{shown(text)} cannot be evaluated: {error}") from None
