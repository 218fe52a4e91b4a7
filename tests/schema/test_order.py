"""The order of blocks, in every notation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from llmcalc.core.errors import InputError
from llmcalc.schema.order import MOST_LAYERS, read_order

Guard = Callable[[str], AbstractContextManager[None]]
BLOCKS = ["local", "global", "dense"]


@pytest.mark.parametrize(
    ("data", "runs"),
    [
        (["local * 12"], [("local", 12, False)]),
        (["dense * 3", "global * 58"], [("dense", 3, False), ("global", 58, False)]),
        (["local", "local", "global"], [("local", 2, False), ("global", 1, False)]),
        ("dense", [("dense", 1, False)]),
        ({"block": "dense", "times": 7}, [("dense", 7, False)]),
        ({"shared": "dense", "times": 7}, [("dense", 7, True)]),
        # two applications of one shared block are one run each: neighbours are not merged
        ([{"shared": "dense", "times": 2}, "dense"], [("dense", 2, True), ("dense", 1, False)]),
        # Gemma-3's pattern, cut off after 8 layers
        (
            {"cycle": ["local * 5", "global"], "length": 8},
            [("local", 5, False), ("global", 1, False), ("local", 2, False)],
        ),
        (
            {"pattern": "LLGD", "legend": {"L": "local", "G": "global", "D": "dense"}},
            [("local", 2, False), ("global", 1, False), ("dense", 1, False)],
        ),
        (["local * 0", "global"], [("global", 1, False)]),
        ([], []),
    ],
)
def test_an_order(data: Any, runs: list[Any]) -> None:
    assert read_order(data, BLOCKS) == runs


WRONG = [
    5,
    None,
    True,
    {},
    ["lokal * 3"],
    "local * x",
    "local * -1",
    "local * 2.5",
    "local ** 2",
    "local * " + "9" * 400,
    {"block": "local", "times": -1},
    {"block": "local", "times": True},
    {"block": "local", "times": 2.0},
    {"block": "local"},
    {"block": "local", "times": 2, "shared": True},
    {"cycle": [], "length": 3},
    {"cycle": ["local * 0"], "length": 3},
    {"cycle": [{"shared": "local", "times": 2}], "length": 3},
    {"pattern": "LX", "legend": {"L": "local"}},
    {"pattern": 5, "legend": {}},
    ["local * 99999999"],
    ["local * 99999"] * 99,
    {"cycle": [f"local * {MOST_LAYERS}"] * 999, "length": 3},
    {"cycle": ["local"], "length": 10**12},
    ["local", "global"] * MOST_LAYERS,
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_no_order_is_an_error(number: int, no_hang: Guard) -> None:
    with pytest.raises(InputError), no_hang(str(number)):
        read_order(WRONG[number], BLOCKS)


def test_a_misspelt_block_is_suggested() -> None:
    with pytest.raises(InputError, match="did you mean local"):
        read_order(["lokal * 3"], BLOCKS)


def test_many_short_runs_are_read(no_hang: Guard) -> None:
    with no_hang("many short runs"):
        assert len(read_order(["local", "global"] * (MOST_LAYERS // 2), BLOCKS)) == MOST_LAYERS
