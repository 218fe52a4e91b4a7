"""YAML 1.2, strictly, with a place for every value, and bounded whatever it is fed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmcalc.core.errors import DescriptionError
from llmcalc.schema.plain_data import MAX_DEPTH, MAX_FILE_SIZE, MAX_VALUES
from llmcalc.schema.yaml_reader import read_yaml

Guard = Callable[[str], AbstractContextManager[None]]


def value_of(text: str) -> Any:
    return read_yaml(f"key: {text}\n", "f.yaml").data["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # YAML 1.1 reads these as booleans, octals, sexagesimals or dates
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12:30:45", "12:30:45"),
        ("2020-05-28", "2020-05-28"),
        ("017", 17),
        # and these as texts
        ("1e-5", 1e-5),
        ("1e9", 1e9),
        ("0o17", 15),
        # the rest of the core schema
        ("0x1F", 31),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("-3", -3),
        ("+3", 3),
        ("1_000_000", 1_000_000),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("175b", "175b"),
        ("1_", "1_"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("'~'", "~"),
        ('""', ""),
    ],
)
def test_a_scalar(text: str, value: Any) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


def test_what_is_tested_differs_from_yaml_1_1() -> None:
    assert yaml.safe_load("[no, 1e-5, 017]") == [False, "1e-5", 15]


def test_a_block_of_text_is_a_text() -> None:
    assert read_yaml("key: |\n  12\n", "f.yaml").data == {"key": "12\n"}


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(10**40), 10**40) | PRINTABLE


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4)))
def test_what_is_written_is_what_is_read(data: Any) -> None:
    import json  # JSON is YAML 1.2

    assert read_yaml(json.dumps(data, ensure_ascii=False), "f.yaml").data == data


def test_every_value_knows_its_place() -> None:
    document = read_yaml("a:\n  b: [1, {c: 2}]\n  d: 3\n", "f.yaml")
    assert document.where(("a", "b", 1, "c")) == "f.yaml:2:11"
    assert document.where(("a", "d", "not there")) == "f.yaml:3:3"
    assert document.excerpt(("a", "d")) == "    d: 3\n    ^"
    assert document.where(()) == "f.yaml:1:1"


def test_an_alias_repeats_its_anchor() -> None:
    assert read_yaml("a: &x {b: 1}\nc: *x\n", "f.yaml").data == {"a": {"b": 1}, "c": {"b": 1}}


def bomb(levels: int = 30, width: int = 9) -> str:
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


BAD = {
    "duplicate": ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1", "duplicate key 'a'"),
    "nested duplicate": ("a:\n  b: 1\n  b: 2\n", "f.yaml:3:3", "duplicate key"),
    "two documents": ("a: 1\n---\nb: 2\n", "f.yaml:2:1", "second"),
    "tag": ("a: !!python/object:os.system x\n", "f.yaml:1:4", "tag"),
    "tag on a mapping": ("a: !x {b: 1}\n", "f.yaml:1:4", "tag"),
    "tag on a key": ("!x a: 1\n", "f.yaml:1:1", "key"),
    "list as key": ("? [a]\n: 1\n", "f.yaml:1:3", "key"),
    "unclosed": ("a: [1, 2\nb: 3\n", "f.yaml:2", "YAML"),
    "tab": ("a:\n\tb: 1\n", "f.yaml:2", "YAML"),
    "alias of nothing": ("a: *x\n", "f.yaml:1:4", "x"),
    "alias of itself": ("a: &x [*x]\n", "f.yaml:1:8", "x"),
    "control character": ("a: \x00\n", "f.yaml", "YAML"),
    "half a character": ("a: '\ud800'\n", "f.yaml", "YAML"),
    "deep": ("[" * 5000, "f.yaml:1", "nest"),
    "deep in blocks": ("".join(" " * n + "a:\n" for n in range(200)), "f.yaml:42", "deeper"),
    "many digits": ("a: " + "9" * 5000, "f.yaml:1:4", "digits"),
    "wide": ("[" + "1," * (MAX_VALUES + 5) + "]", "f.yaml:1", "values"),
    "bomb": (bomb(), "f.yaml:", "alias expansion"),
    "large": ("#" * (MAX_FILE_SIZE + 1), "f.yaml", "limit"),
    "one endless line": ("a: " + "x" * (MAX_FILE_SIZE - 100) + ": :\n", "f.yaml", "YAML"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_placed_error(name: str, no_hang: Guard) -> None:
    text, where, word = BAD[name]
    with pytest.raises(DescriptionError) as caught, no_hang(name):
        read_yaml(text, "f.yaml")
    assert caught.value.where.startswith(where)
    assert word in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_what_is_within_the_bounds_is_read() -> None:
    assert read_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f.yaml").data is not None
    assert len(read_yaml("[" + "1," * (MAX_VALUES - 5) + "]", "f.yaml").data) == MAX_VALUES - 5


@given(st.text(max_size=80) | st.text(alphabet="ab:{}[],&*!|>-?'\"#% \n\t", max_size=80))
def test_no_text_does_anything_but_give_data_or_a_description_error(text: str) -> None:
    place = ""
    try:
        read_yaml(text, "f.yaml")
    except DescriptionError as error:
        place = error.where
    assert place == "" or place.startswith("f.yaml")
