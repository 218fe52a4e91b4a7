"""Small versions of towers, with one position per test patch and consistent widths for merged patches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import isqrt

from .architecture import Named, Stack
from .layer import Layer

GRID = (4, 8)  # rows and columns of patches, divisible into squares of up to 16
PATCHES = GRID[0] * GRID[1]
SQUARE = (8, 8)  # the same for towers with a fixed square image
WINDOW = 4  # patches
Size = Callable[[str, int], int]


def grid_of(stacks: Iterable[Stack]) -> tuple[int, int]:
    """Return the number of rows and columns of test patches for the given stacks."""
    layers = (
        layer for stack in stacks for run in stack.runs for part in run.block.sublayers for _, layer in part.layers()
    )
    return SQUARE if any(hasattr(layer, "grid") for layer in layers) else GRID


def square(grid: int, value: int, name: str) -> int:
    """Return the small side length of an image or window. A window divides the image only if it did originally."""
    return SQUARE[0] if name == "grid" else SQUARE[0] // 2 if grid % value == 0 else SQUARE[0] // 2 - 1


def inputs(layers: Iterable[Named], grid: tuple[int, int]) -> Iterator[Named]:
    """Shrink the input layers of a tower. Position tables get one row per patch or prefix token."""
    before = 0
    for name, layer in layers:
        use, table = getattr(layer, "use", ""), getattr(layer, "table", "")
        before += layer.rows if use == "prefix" else 0  # type: ignore[attr-defined]
        if table == "position" and getattr(layer, "columns", None) and grid == SQUARE:
            yield Named(name, replace(layer, rows=grid[0] * grid[1], columns=grid[1]))  # type: ignore[type-var]
            continue
        learned = table == "position" and not getattr(layer, "columns", None)
        yield Named(name, replace(layer, rows=grid[0] * grid[1] + before) if learned else layer)  # type: ignore[type-var]


def outputs(layers: Iterable[Named], width: int, size: Size, small: Callable[[Layer], Layer]) -> Iterator[Named]:
    """Shrink the output layers of a tower. Widths of concatenated positions stay multiples of the tower width."""
    first, first_small = width, size("width", width)
    wide, narrow, merged = first, first_small, 1
    for name, layer in layers:
        if hasattr(layer, "blocks"):  # blocks after the last selected block would have no gradient
            count = len(layer.blocks.split())
            wide, narrow, merged = first * count, first_small * count, 1
            yield Named(name, replace(small(layer), blocks=" ".join(["-1"] * count)))  # type: ignore[type-var]
            continue
        if getattr(layer, "merge", 1) > 1 and any(side % isqrt(layer.merge) for side in GRID):  # type: ignore[attr-defined]
            layer = replace(layer, merge=WINDOW)  # type: ignore[type-var]
        found, key = small(layer), next((name for name in ("d_in", "channels") if hasattr(layer, name)), "d_model")
        times = max(getattr(layer, "merge", 1) // merged, 1)
        merged *= times
        if key == "channels":  # a convolution reads tokens one by one
            found, times = replace(found, side=layer.side), 1  # type: ignore[type-var,attr-defined]
        if getattr(layer, key, 0) == times * wide:
            wide, narrow = times * wide, times * narrow
        if getattr(layer, key, 0) == wide:
            changes = {key: narrow}
            if getattr(layer, "d_out", 0) == wide:
                changes["d_out"] = narrow
            found = replace(found, **changes)  # type: ignore[type-var]
        if hasattr(found, "d_out"):
            wide, narrow = layer.d_out, found.d_out  # type: ignore[attr-defined]
        yield Named(name, found)
