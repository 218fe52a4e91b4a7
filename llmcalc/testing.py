"""Hypothesis strategies for tests of llmcalc and of what is built on it: layers of every kind, with distinct sizes.

Sizes are distinct primes wherever a layer allows it, so that two swapped axes never give the same product.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from . import layers as kinds
from .core.errors import SizeError
from .core.layer import Layer

PRIMES = tuple(number for number in range(2, 200) if all(number % divisor for divisor in range(2, number)))
_MOST_REPAIRS = 8
_TOO_MUCH = re.compile(r"(\w+) \(\d+\) is more than (\w+)")
_REFUSED = re.compile(r"(\w+) is \d+;")
_DIVIDES = re.compile(r"(\w+) \(\d+\) does not divide (\w+)")


@st.composite
def layers(draw: st.DrawFn, kind: str) -> Layer:
    """A valid layer of a kind, each field drawn from what its type and its choices allow."""
    found, _ = kinds.find(kind)
    names = [entry.name for entry in fields(found)]  # type: ignore[arg-type]
    primes = dict(zip(names, draw(st.permutations(PRIMES)), strict=False))
    values = {entry.name: draw(_values(found, entry, primes)) for entry in fields(found)}  # type: ignore[arg-type]
    for _ in range(_MOST_REPAIRS):
        try:
            return found(**values)
        except SizeError as error:
            values = _repaired(values, error)
    assume(False)
    raise AssertionError


def smallest(kind: str) -> dict[str, Any]:
    """The required fields of a kind alone, of the least distinct primes that make a valid layer."""
    found, _ = kinds.find(kind)
    needed = [entry.name for entry in fields(found) if is_required(entry)]  # type: ignore[arg-type]
    values: dict[str, Any] = dict(zip(needed, PRIMES[1:], strict=False))
    for _ in range(_MOST_REPAIRS):
        try:
            found(**values)
        except SizeError as error:
            values = _repaired(values, error, give_up=error)
    found(**values)
    return values


def is_required(entry: Field[Any]) -> bool:
    """Whether a field has no default."""
    return entry.default is MISSING and entry.default_factory is MISSING


def _repaired(values: Mapping[str, Any], error: SizeError, give_up: SizeError | None = None) -> dict[str, Any]:
    """The same values with what the error is about mended: a dividend becomes a multiple of its divisor, two sizes in
    the wrong order are swapped, a size that is odd or too small is doubled.
    """
    if (match := _DIVIDES.match(error.message)) and isinstance(values.get(match[1]), int):
        return {**values, match[2]: values[match[2]] * values[match[1]]}
    if (match := _TOO_MUCH.match(error.message)) and isinstance(values.get(match[2]), int):
        return {**values, match[1]: values[match[2]], match[2]: values[match[1]]}
    if (match := _REFUSED.match(error.message)) and isinstance(values.get(match[1]), int):
        return {**values, match[1]: 2 * values[match[1]]}
    if give_up:
        raise give_up
    assume(False)
    raise AssertionError


def _values(found: type[Layer], entry: Field[Any], primes: Mapping[str, int]) -> st.SearchStrategy[Any]:
    base = str(entry.type).removesuffix(" | None")
    choices = found.CHOICES.get(entry.name)
    drawn: st.SearchStrategy[Any] = {
        "int": st.just(primes.get(entry.name, 1)),
        "bool": st.booleans(),
        "float": st.sampled_from([0.5, 2, 30.0]),
        "str": st.sampled_from(choices or ["a_shared_tensor"]),
    }[base]
    return drawn if base == str(entry.type) else st.none() | drawn
