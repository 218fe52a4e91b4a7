"""Expressions evaluate like arithmetic; everything else is rejected."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcalc.core.errors import InputError, SizeError, UnknownNameError
from llmcalc.core.expression import evaluate, parse

NAMES = {"d_model": 12_289, "n_heads": 97, "h": 3}
FUNCTIONS = {"ceil": lambda a, b: -(-a // b), "max": max}
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "·": operator.mul}


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, int]:
    """A text and its value, computed alongside."""
    if depth == 0 or draw(st.booleans()):
        name = draw(st.sampled_from(sorted(NAMES)))
        number = draw(st.integers(0, 10**30))
        return draw(st.sampled_from([(name, NAMES[name]), (str(number), number)]))
    left, right = draw(expressions(depth=depth - 1)), draw(expressions(depth=depth - 1))
    shape = draw(st.sampled_from([*OPERATORS, "neg", "max"]))
    if shape == "neg":
        return f"-({left[0]})", -left[1]
    if shape == "max":
        return f"max({left[0]}, {right[0]})", max(left[1], right[1])
    return f"({left[0]}) {shape} ({right[0]})", OPERATORS[shape](left[1], right[1])


@given(expressions())
def test_the_value_is_that_of_the_text(case: tuple[str, int]) -> None:
    text, value = case
    assert evaluate(text, NAMES, FUNCTIONS) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 5", 17),
        ("(2 + 3) * 5", 25),
        ("7 - 3 - 2", 2),
        ("12 / 3 / 2", 2),
        ("-3 + 5", 2),
        ("2 * -3", -6),
        ("n_heads·h·d_model", 97 * 3 * 12_289),
        ("ceil(d_model, 128) * 128", 12_416),
        (" 5 ", 5),
    ],
)
def test_precedence_and_spelling(text: str, value: int) -> None:
    assert evaluate(text, NAMES, FUNCTIONS) == value


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20))
def test_division_is_exact(quotient: int, divisor: int) -> None:
    assert evaluate("a / b", {"a": quotient * divisor, "b": divisor}) == quotient


@pytest.mark.parametrize(("text", "word"), [("7 / 2", "not an integer"), ("7 / (3 - 3)", "zero")])
def test_division_that_leaves_something_is_an_error(text: str, word: str) -> None:
    with pytest.raises(SizeError, match=word):
        evaluate(text, {})


def test_a_misspelt_name_is_suggested() -> None:
    with pytest.raises(UnknownNameError, match="did you mean d_model"):
        evaluate("2 * d_modle", NAMES)
    with pytest.raises(UnknownNameError, match="did you mean ceil"):
        evaluate("ciel(7, 2)", NAMES, FUNCTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "2 +",
        "2 3",
        "(2",
        "2)",
        "a b",
        "2 ** 3",
        "f(",
        "f(,)",
        "f()",
        "1.5",
        "a.b",
        "a[0]",
        "a = 2",
        "٣",
        "2 % 3",
    ],
)
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        evaluate(text, NAMES, FUNCTIONS)


@pytest.mark.parametrize("text", ["(" * 300, "-" * 300 + "1", "f(" * 150, "9" * 100_000, "(" * 190 + "1" + ")" * 190])
def test_long_and_deep_texts_are_refused_at_once(text: str) -> None:
    with pytest.raises(InputError):
        evaluate(text, NAMES, FUNCTIONS)


@given(st.text(alphabet="0123456789abc_+-*/·(), \n", max_size=60))
def test_no_text_does_anything_but_give_a_value_or_an_input_error(text: str) -> None:
    try:
        value: Any = evaluate(text, {"a": 2, "b": 3, "c": 5}, FUNCTIONS)
    except (InputError, TypeError):  # TypeError: a function called with the wrong number of arguments
        return
    assert isinstance(value, int)
    assert parse(text)
