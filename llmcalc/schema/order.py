"""Block order of a stack, in notations used in papers.

    [block * 12]                                     twelve equal blocks
    [dense * 3, sparse * 58]                         blocks of one kind, followed by blocks of another kind
    {cycle: [local * 5, global], length: 26}         a pattern repeated up to a length
    {block: block, times: $n_layers}                 a variable number of equal blocks
    {pattern: "M-M*", legend: {M: mamba, -: mlp, "*": attention}}
    {shared: block, times: 12}                       one block with shared parameters, applied twelve times

A list may contain any of these forms.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from ..core.errors import DescriptionError, SizeError, UnknownNameError, short_repr
from ..core.layer import MOST_LAYERS, is_integer
from ..core.type_names import Any

Item = tuple[str, int, bool]
_MAX_ITEMS = 8  # longer lists are written as a pattern of letters
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

Runs = list[tuple[str, int]]


def read_order(data: Any, blocks: Iterable[str]) -> list[Item]:
    """Return (block, count, shared) for each run of equal blocks."""
    names = list(blocks)
    merged: list[Item] = []
    layers = 0
    for name, count, shared in _read(data, names):
        if name not in names:
            raise UnknownNameError("block", name, names)
        if count == 0:
            continue
        layers += count
        if layers > MOST_LAYERS:
            raise SizeError(f"more than {MOST_LAYERS:,} layers")
        if merged and merged[-1][0] == name and not shared and not merged[-1][2]:
            count += merged.pop()[1]
        merged.append((name, count, shared))
    return merged


def names_in_order(data: Any) -> set[str]:
    """Return the names of all blocks in an order, including blocks with a count of zero."""
    if isinstance(data, str):
        return {data.partition("*")[0].strip()}
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return {name for part in parts for name in names_in_order(part)}


def _read(data: Any, names: list[str]) -> list[Item]:
    if isinstance(data, list):
        return [item for entry in data for item in _read(entry, names)]
    if isinstance(data, str):
        name, star, count = (part.strip() for part in data.partition("*"))
        if star and (not count.isdigit() or len(count) > 9):
            form = f"{{block: {name}, times: {count}}}" if count.startswith("$") else f"'{name} * 12'"
            raise DescriptionError(f"invalid item {short_repr(data)}; write it as {form}")
        return [(name, int(count) if star else 1, False)]
    match data:
        case {"cycle": _, "length": _} if len(data) == 2:
            return _cycle(data, names)
        case {"pattern": text, "legend": legend} if len(data) == 2:
            if not isinstance(text, str) or not isinstance(legend, dict):
                raise DescriptionError("pattern must be a string, and legend must be a mapping from letters to blocks")
            unknown = next((letter for letter in text if letter not in legend), None)
            if unknown is not None:
                raise UnknownNameError("pattern letter", unknown, legend)
            return [(str(legend[letter]), 1, False) for letter in text]
        case {"block": name, "times": times} | {"shared": name, "times": times} if len(data) == 2:
            return [(str(name), _count(times), "shared" in data)]
    forms = "a list, 'block * 12', {block, times}, {cycle, length}, {pattern, legend} or {shared, times}"
    raise DescriptionError(f"invalid order {short_repr(data)}; use {forms}")


def _cycle(data: dict[str, Any], names: list[str]) -> list[Item]:
    items = _read(data["cycle"], names)
    length = int(_count(data["length"]))
    if any(shared for _, _, shared in items):
        raise DescriptionError("a cycle cannot contain a shared block")
    if sum(count for _, count, _ in items) > MOST_LAYERS:
        raise SizeError(f"more than {MOST_LAYERS:,} layers")
    pattern = [name for name, count, _ in items for _ in range(int(count))]
    if not pattern:
        raise DescriptionError("a cycle must contain a block")
    return [(pattern[index % len(pattern)], 1, False) for index in range(length)]


def _count(value: Any) -> int:
    if not is_integer(value) or not 0 <= value <= MOST_LAYERS:
        raise SizeError(f"the number of layers must be an integer from 0 to {MOST_LAYERS:,}, not {short_repr(value)}")
    return value


def shortest_order(order: list[dict[str, Any]]) -> Any:
    """Return the shortest notation of the order ``[{block: name, times: n} or {shared: name, times: n}, ...]``.

    A repeating pattern becomes a cycle, optionally after a first run. Other long orders become a letter pattern.
    The count of a single block is a separate key, so that the count can become a variable.
    """
    if len(order) <= 1:
        return order[0] if order else []
    if any("shared" in item for item in order):
        return order
    runs = [(item["block"], item["times"]) for item in order]
    if any(first[0] == second[0] for first, second in pairwise(runs)):
        return order
    for first in (0, 1):
        cycle = _repeated_runs(runs[first:])
        if cycle:
            rest = {"cycle": [_run_text(run) for run in cycle], "length": sum(count for _, count in runs[first:])}
            return [_run_text(runs[0]), rest] if first else rest
    if len(runs) == 2:
        return [_run_text(runs[0]), order[1]]
    return _letter_pattern(runs) if len(runs) > _MAX_ITEMS else [_run_text(run) for run in runs]


def _run_text(run: tuple[str, int]) -> str:
    name, count = run
    return f"{name} * {count}" if count > 1 else name


def _repeated_runs(runs: Runs) -> Runs | None:
    """Return one period of a block order, or None if the order does not repeat. The last period may be incomplete."""
    for period in range(2, len(runs) // 2 + 1):
        pattern = runs[:period]
        repeats = all(run == pattern[index % period] for index, run in enumerate(runs[:-1]))
        (name, count), (wanted, most) = runs[-1], pattern[(len(runs) - 1) % period]
        if repeats and name == wanted and count <= most:
            return pattern
    return None


def _letter_pattern(runs: Runs) -> Any:
    names = list(dict.fromkeys(name for name, _ in runs))
    if len(names) > len(_LETTERS):
        return [_run_text(run) for run in runs]
    legend: dict[str, str] = {}
    for name in names:
        wished = [letter for letter in name.upper() + _LETTERS if letter in _LETTERS and letter not in legend]
        legend[wished[0]] = name
    letter_of = {name: letter for letter, name in legend.items()}
    return {"pattern": "".join(letter_of[name] * count for name, count in runs), "legend": legend}
