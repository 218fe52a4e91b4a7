"""Error messages are short, printable and placed, and make suggestions."""

from __future__ import annotations

import pytest

from llmcalc.core.errors import InputError, SizeError, UnknownNameError, nearest, short_repr


def test_the_place_comes_first_and_the_hint_last() -> None:
    error = SizeError("0 heads", where="gpt.yaml:7:3", hint="give one", excerpt="  n_heads: 0\n           ^")
    assert str(error) == "gpt.yaml:7:3: 0 heads\n  n_heads: 0\n           ^\n  give one"


def test_a_place_once_known_stays() -> None:
    error = InputError("wrong").under(("a", "b")).under(()).at("first", "line").at("second")
    assert (error.path, error.where, error.excerpt) == (("a", "b"), "first", "line")


def test_near_names_are_suggested_whatever_their_case() -> None:
    assert UnknownNameError("model", "GTP3", ["gpt3", "bert"]).suggestions == ["gpt3"]
    assert nearest("x" * 100_000, ["gpt3"]) == []


HARD_TO_SHOW = {"long": "x" * 10_000, "huge": 10**5000, "list": list(range(10_000)), "control": "a\nb\x1b[31m"}


@pytest.mark.parametrize("value", HARD_TO_SHOW.values(), ids=HARD_TO_SHOW.keys())
def test_a_shown_value_is_short_and_on_one_line(value: object) -> None:
    assert len(short_repr(value)) <= 60
    assert short_repr(value).isprintable()
