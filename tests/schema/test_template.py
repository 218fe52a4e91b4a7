"""Variables and expressions of a preset."""

from __future__ import annotations

from typing import Any

import pytest

from llmcalc.core.errors import InputError
from llmcalc.schema.template import expression, fill, names_used, resolve, variable_at

VARIABLES = {"d_model": 12_289, "n_layers": 97, "activation": "silu", "bias": True, "none": None}


def placed(error: InputError, path: tuple[Any, ...]) -> InputError:
    return error.under(path)


def test_a_lone_name_holds_any_value_and_a_calculation_an_integer() -> None:
    data = {"a": "$activation", "b": ["$bias", {"c": "$none"}], "d": "$4 * d_model", "e": "silu", "f": 7}
    assert fill(data, VARIABLES, (), placed) == {
        "a": "silu",
        "b": [True, {"c": None}],
        "d": 4 * 12_289,
        "e": "silu",
        "f": 7,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("round_up(d_model, 128)", 12_416),
        ("ceil(d_model, 16)", 769),
        ("round_up(8 * d_model / 3, 256)", 33_024),
        ("round_up(8 * 4096 / 3, 256)", 11_008),
        ("ceil(2 * (d_model / 3 + 1), 2)", 4_098),
        ("min(d_model, 7)", 7),
        ("max(d_model, 7)", 12_289),
        ("2 * (n_layers - 1)", 192),
        ("sqrt(2 * (n_layers - 1) + 4)", 14.0),
        ("rsqrt(n_layers - 72)", 0.2),
    ],
)
def test_functions(text: str, value: int) -> None:
    assert expression(text, VARIABLES) == value


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("d_modle", "did you mean d_model"),
        ("d_model * activation", "must be an integer in a calculation"),
        ("(bias)*2", "must be an integer in a calculation"),
        ("d_model / 2", "not an integer"),
        ("round_up(d_model, 0)", "cannot evaluate"),
        ("ceil(d_model)", "cannot evaluate"),
        ("sqrt(7 - d_model)", "cannot evaluate"),
        ("rsqrt(7 - 7)", "cannot evaluate"),
        ("open(d_model)", "function"),
        ("d_model.__class__", "invalid expression"),
        ("", "incomplete"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_with_its_path(text: str, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        fill({"a": ["$" + text]}, VARIABLES, ("top",), placed)
    assert caught.value.path == ("top", "a", 0)


def test_variables_follow_variables() -> None:
    given = {"d_ff": "$4 * d_model", "d_model": "$n_heads * 3", "n_heads": 5, "tied": "$n_heads"}
    assert resolve(given) == {"d_ff": 60, "d_model": 15, "n_heads": 5, "tied": 5}
    assert list(resolve(given)) == list(given)


@pytest.mark.parametrize("variables", [{"a": "$a"}, {"a": "$b", "b": "$2 * a"}, {"a": "$c"}, {"a": "$1 / 0"}])
def test_a_circle_or_a_broken_variable_is_an_error_that_names_it(variables: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        resolve(variables, lambda error, name: error.under(("variables", name)))
    assert caught.value.path == ("variables", "a")


def test_names_are_found() -> None:
    data = {"a": "$4 * d_model", "b": [{"c": "$heads"}], "d": "text", "heads": 3}
    assert names_used(data) == {"d_model", "heads"}
    assert [variable_at(data, path) for path in (("b", 0, "c"), ("d",), ("x", "y"), ())] == ["heads", "", "", ""]
