"""Patterns of stored tensors, so that 250,000 tensors of experts and blocks can be read in a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..core.record import NamedTuple
from .stored_tensors import Shape, grouped, layout_name, rows_in_blocks

if TYPE_CHECKING:
    from ..calc.params import Params

MOST_RANGES = 4


class Pattern(NamedTuple):
    """``copies`` tensors of equal shape whose names differ in the number of the block or the expert."""

    name: str
    shape: Shape
    copies: int


def stored_patterns(result: Params, layout: str) -> list[Pattern]:
    """Return the tensors that ``stored_tensors`` lists one by one. The cost does not grow with their number."""
    blocks: dict[tuple[str, str, Shape, int], list[int]] = {}
    architecture = result.architecture
    for group, numbers in grouped(architecture, layout_name(architecture, layout), rows_in_blocks(result)):
        name, shape, copies = group.name, group.shape, group.copies
        if copies is not None:
            text = numbers_text(copies)
            name, shape = name.replace("{x}", text).replace("{a}", text), shape[1:]
        key = (group.rows[0].entry.stack.name, name, shape, 1 if copies is None else len(copies))
        blocks.setdefault(key, []).extend(numbers or ())
    return [
        Pattern(name.replace("{i}", numbers_text(numbers)), shape, copies * max(len(numbers), 1))
        for (_, name, shape, copies), numbers in blocks.items()
    ]


def numbers_text(numbers: Sequence[int]) -> str:
    """Return numbers in ascending order as ranges. Many ranges are cut.

    >>> numbers_text([0, 1, 2, 4]), numbers_text(range(0, 99, 2))
    ('0-2,4', '0,2,…,98')
    """
    texts = list(_ranges(numbers))
    return ",".join(texts if len(texts) <= MOST_RANGES else (*texts[:2], "…", texts[-1]))


def _ranges(numbers: Iterable[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        own = [number for _, number in run]
        yield str(own[0]) if len(own) == 1 else f"{own[0]}-{own[-1]}"
