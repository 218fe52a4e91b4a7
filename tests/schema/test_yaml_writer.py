"""Data written as YAML reads back unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcalc.schema.yaml_reader import read_yaml
from llmcalc.schema.yaml_writer import WIDTH, write

scalars = (
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=150)
    | st.sampled_from(["no", "null", "1e-5", "$4 * d_model", "a: b", "- x", "a #b", "0o17", "~", "a * 12", "[x", ""])
)  # fmt: skip
keys = st.text("abcdefgh_", min_size=1, max_size=40)
data = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6))


def read(text: str) -> Any:
    return read_yaml(text, "written").data


@given(st.dictionaries(keys, data, min_size=1, max_size=5))
def test_it_reads_back(value: dict[str, Any]) -> None:
    assert read(write(value, ("a line of\ncomment",))) == value


def test_long_mappings_and_texts_are_broken() -> None:
    fields = {f"a_long_name_of_a_field_{number}": number for number in range(13)}
    text = "a note that takes more than one line, " * 7 + "and ends"
    written = write({"layer": {"mha": fields}, "notes": {"all": [text]}})
    assert max(map(len, written.splitlines())) <= WIDTH
    assert read(written) == {"layer": {"mha": fields}, "notes": {"all": [text]}}


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-6, "1e-6"), (1.746e11, "1.746e11"), (10000.0, "1e4"), (0.02, "0.02"), (1.0, "1.0"), (30.0, "30.0")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert write({"a": value}) == f"a: {text}\n"


def test_numbers_that_are_not_finite() -> None:
    found = read(write({"a": float("inf"), "b": float("-inf"), "c": float("nan")}))
    assert (found["a"], found["b"]) == (float("inf"), float("-inf"))
    assert found["c"] != found["c"]
