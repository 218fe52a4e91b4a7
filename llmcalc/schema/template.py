"""Evaluation of preset variables such as ``$d_model``, ``$4 * d_model`` and ``$n_layers - first_dense``.

A string that starts with ``$`` is an expression in the variables (``core/expression.py``). A single name can
have any value, but calculations require integers. A variable can itself be an expression, such as
``d_ff: $4 * d_model``. A size or an override can replace this expression with a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..core.errors import DescriptionError, InputError, short_repr
from ..core.expression import evaluate, parse, words_in
from ..core.part import is_integer
from ..core.type_names import Any

Path = tuple[Any, ...]


def round_up(value: int, multiple: int) -> int:
    """Return ``value`` rounded up to a multiple of ``multiple``."""
    return ceil(value, multiple) * multiple


def ceil(value: int, divisor: int) -> int:
    """Return ``value / divisor``, rounded up."""
    return -(-value // divisor)


def rsqrt(value: int) -> float:
    """Return the reciprocal of the square root."""
    return 1 / math.sqrt(value)


_CALLED: tuple[Callable[..., Any], ...] = (ceil, min, max, round_up, math.sqrt, rsqrt)
_FUNCTIONS = {function.__name__: function for function in _CALLED}


def fill(value: Any, variables: Mapping[str, Any], path: Path, fail: Callable[[InputError, Path], InputError]) -> Any:
    """Evaluate every ``$`` expression in ``value``. ``fail`` adds the key path to an error."""
    if isinstance(value, dict):
        return {key: fill(item, variables, (*path, key), fail) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, variables, (*path, index), fail) for index, item in enumerate(value)]
    if _is_expression(value):
        try:
            return expression(value[1:], variables)
        except InputError as error:
            raise fail(error, path) from None
    return value


def resolve(
    variables: Mapping[str, Any], place: Callable[[InputError, str], InputError] | None = None
) -> dict[str, Any]:
    """Return the variables with all expressions evaluated.

    >>> resolve({"d_model": 3, "d_ff": "$4 * d_model"})
    {'d_model': 3, 'd_ff': 12}
    """
    waiting = {name: value for name, value in variables.items() if _is_expression(value)}
    known = {name: value for name, value in variables.items() if name not in waiting}
    name = ""
    try:
        while waiting:
            ready = (name for name, text in waiting.items() if not names_used(text) & waiting.keys())
            name = next(ready, "") or next(iter(waiting))
            if names_used(waiting[name]) & waiting.keys():
                raise DescriptionError(f"circular references between variables: {', '.join(waiting)}")
            known[name] = expression(waiting.pop(name)[1:], known)
    except InputError as error:
        raise place(error, name) if place else error from None
    return {name: known[name] for name in variables}


def names_used(value: Any) -> set[str]:
    """Return every name used in the expressions of ``value``.

    >>> sorted(names_used({"d_ff": "$4 * d_model", "order": ["$n_layers"]}))
    ['d_model', 'n_layers']
    """
    if isinstance(value, dict | list):
        return {name for item in (value.values() if isinstance(value, dict) else value) for name in names_used(item)}
    return set(words_in(value)) if _is_expression(value) else set()


def variable_at(value: Any, path: Path) -> str:
    """Return the expression at a path without the ``$``, such as ``n_heads``, or an empty string if there is none."""
    for key in path:
        inside = (isinstance(value, dict) and key in value) or (isinstance(value, list) and key in range(len(value)))
        if not inside:
            return ""
        value = value[key]
    return value[1:].strip() if _is_expression(value) else ""


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("$")


def expression(text: str, variables: Mapping[str, Any]) -> Any:
    """Evaluate an expression with the given variables."""
    tree = parse(text)
    if tree[0] == "name" and tree[1] in variables:
        return variables[tree[1]]
    numbers = {name: value for name, value in variables.items() if is_integer(value)}
    try:
        return evaluate(text, numbers, _FUNCTIONS)
    except InputError:
        wrong = [name for name in words_in(text) if name in variables and name not in numbers]
        if not wrong:
            raise
        message = f"{wrong[0]} must be an integer in a calculation, not {short_repr(variables[wrong[0]])}"
        raise DescriptionError(message) from None
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise DescriptionError(f"cannot evaluate {short_repr(text)}: {error}") from None
