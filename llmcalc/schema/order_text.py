"""An order of blocks in the shortest of its spellings (``schema/order.py`` reads them).

>>> spelled([{"block": "local", "times": 5}, {"block": "global", "times": 1}] * 3)
{'cycle': ['local * 5', 'global'], 'length': 18}
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

_MOST_ITEMS = 8  # longer lists are spelled with letters
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

Runs = list[tuple[str, int]]


def spelled(order: list[dict[str, Any]]) -> Any:
    """The order ``[{block: name, times: n} or {shared: name, times: n}, ...]``, short.

    A pattern that repeats is a cycle, behind a first run of its own if it must be; a long order without a pattern is
    spelled with letters; a block that stands alone keeps its number apart, so that it can become a variable.
    """
    if len(order) <= 1:
        return order[0] if order else []
    if any("shared" in item for item in order):
        return order
    runs = [(item["block"], item["times"]) for item in order]
    if any(first[0] == second[0] for first, second in pairwise(runs)):
        return order
    for first in (0, 1):
        cycle = _cycle(runs[first:])
        if cycle:
            length = sum(count for _, count in runs[first:])
            rest = {"cycle": [_item(run) for run in cycle], "length": length}
            return [_item(runs[0]), rest] if first else rest
    if len(runs) == 2:
        return [_item(runs[0]), order[1]]
    return _letters(runs) if len(runs) > _MOST_ITEMS else [_item(run) for run in runs]


def _item(run: tuple[str, int]) -> str:
    name, count = run
    return f"{name} * {count}" if count > 1 else name


def _cycle(runs: Runs) -> Runs | None:
    """The runs that repeat from the first to the last one, which may be cut off; None: they don't."""
    for period in range(2, len(runs) // 2 + 1):
        pattern = runs[:period]
        repeats = all(run == pattern[index % period] for index, run in enumerate(runs[:-1]))
        (name, count), (wanted, most) = runs[-1], pattern[(len(runs) - 1) % period]
        if repeats and name == wanted and count <= most:
            return pattern
    return None


def _letters(runs: Runs) -> Any:
    names = list(dict.fromkeys(name for name, _ in runs))
    if len(names) > len(_LETTERS):
        return [_item(run) for run in runs]
    legend: dict[str, str] = {}
    for name in names:
        wished = [letter for letter in name.upper() + _LETTERS if letter in _LETTERS and letter not in legend]
        legend[wished[0]] = name
    letter_of = {name: letter for letter, name in legend.items()}
    return {"pattern": "".join(letter_of[name] * count for name, count in runs), "legend": legend}
