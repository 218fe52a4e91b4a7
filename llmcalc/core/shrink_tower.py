"""A small tower: as many positions as there are patches in a test, and widths of what is merged that still fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import isqrt

from .architecture import Named
from .layer import Layer

GRID = (4, 8)  # rows and columns of patches: squares of up to 16 fill it
PATCHES = GRID[0] * GRID[1]
WINDOW = 4  # patches
Size = Callable[[str, int], int]


def inputs(layers: Iterable[Named]) -> Iterator[Named]:
    """The inputs of a tower, shrunk, with a table of as many positions as there are patches and tokens before them."""
    before = 0
    for name, layer in layers:
        use, table = getattr(layer, "use", ""), getattr(layer, "table", "")
        before += layer.rows if use == "before" else 0  # type: ignore[attr-defined]
        learned = table == "position" and not getattr(layer, "columns", None)
        yield Named(name, replace(layer, rows=PATCHES + before) if learned else layer)  # type: ignore[type-var]


def outputs(layers: Iterable[Named], width: int, size: Size, small: Callable[[Layer], Layer]) -> Iterator[Named]:
    """The outputs of a tower of this ``width``, shrunk: what reads several positions side by side is as many times as
    wide as the stream.
    """
    first, first_small = width, size("width", width)
    wide, narrow, merged = first, first_small, 1
    for name, layer in layers:
        if hasattr(layer, "blocks"):  # those behind the last that is read would have no gradient
            count = len(layer.blocks.split())
            wide, narrow, merged = first * count, first_small * count, 1
            yield Named(name, replace(small(layer), blocks=" ".join(["-1"] * count)))  # type: ignore[type-var]
            continue
        if getattr(layer, "merge", 1) > 1 and any(side % isqrt(layer.merge) for side in GRID):  # type: ignore[attr-defined]
            layer = replace(layer, merge=WINDOW)  # type: ignore[type-var]
        found, key = small(layer), "d_in" if hasattr(layer, "d_in") else "d_model"
        times = max(getattr(layer, "merge", 1) // merged, 1)
        if getattr(layer, key, 0) == times * wide:
            wide, narrow = times * wide, times * narrow
        merged *= times
        if getattr(layer, key, 0) == wide:
            changes = {key: narrow}
            if getattr(layer, "d_out", 0) == wide:
                changes["d_out"] = narrow
            found = replace(found, **changes)  # type: ignore[type-var]
        if hasattr(found, "d_out"):
            wide, narrow = layer.d_out, found.d_out  # type: ignore[attr-defined]
        yield Named(name, found)
