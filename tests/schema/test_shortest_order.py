"""The shortest notation of an order reads back as the same order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcalc.schema.order import read_order, shortest_order

BLOCKS = ("dense", "sparse", "local", "global")
runs = st.lists(st.tuples(st.sampled_from(BLOCKS), st.integers(1, 7), st.booleans()), min_size=1, max_size=30)
EXAMPLES = [
    ("local*5 global*1 local*5 global*1 local*2", {"cycle": ["local * 5", "global"], "length": 14}),
    ("dense*3 sparse*58", ["dense * 3", {"block": "sparse", "times": 58}]),
    ("dense*1 local*2 global*1 local*2 global*1", ["dense", {"cycle": ["local * 2", "global"], "length": 6}]),
    ("dense*7", {"block": "dense", "times": 7}),
    ("local*1 global*1 sparse*2", ["local", "global", "sparse * 2"]),
]


def as_order(items: list[tuple[str, int, bool]]) -> list[dict[str, Any]]:
    return [{"shared" if shared else "block": name, "times": count} for name, count, shared in items]


@given(runs)
def test_it_reads_back(items: list[tuple[str, int, bool]]) -> None:
    order = as_order(items)
    assert read_order(shortest_order(order), BLOCKS) == read_order(order, BLOCKS)


@pytest.mark.parametrize(("text", "wanted"), EXAMPLES)
def test_patterns_are_found(text: str, wanted: Any) -> None:
    items = [part.partition("*") for part in text.split()]
    assert shortest_order(as_order([(name, int(count), False) for name, _, count in items])) == wanted


def test_a_long_order_without_a_pattern_becomes_a_pattern_of_letters() -> None:
    letters = "MMAMAAMMMAMAM"
    order = [{"block": {"M": "mamba", "A": "attention"}[letter], "times": 1} for letter in letters]
    merged = [{"block": n, "times": c} for n, c, _ in read_order(order, ("mamba", "attention"))]
    assert shortest_order(merged) == {"pattern": letters, "legend": {"M": "mamba", "A": "attention"}}
