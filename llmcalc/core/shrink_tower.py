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


def grid_of(stacks: Iterable[Stack]) -> tuple[int, int]:
    """Return the number of rows and columns of test patches for the given stacks."""
    layers = (layer for stack in stacks for run in stack.runs for _, layer in run.block.layers())
    return SQUARE if any(layer.NEEDS_SQUARE_IMAGE for layer in layers) else GRID


def inputs(layers: Iterable[Named], grid: tuple[int, int]) -> Iterator[Named]:
    """Shrink the input layers of a tower. Position tables get one row per patch or prefix token."""
    n_prefix = 0
    for name, layer in layers:
        n_prefix += layer.n_prefix_tokens()
        yield Named(name, layer.fit_patches(*grid, n_prefix))


def outputs(
    layers: Iterable[Named], width: int, small_width: Callable[[int], int], small: Callable[[Layer], Layer]
) -> Iterator[Named]:
    """Shrink the output layers of a tower. Widths of concatenated positions stay multiples of the tower width."""
    wide, narrow, merged = width, small_width(width), 1
    for name, layer in layers:
        if n_streams := layer.n_concatenated_streams():
            wide, narrow, merged = width * n_streams, small_width(width) * n_streams, 1
            yield Named(name, small(layer))
            continue
        if layer.merge > 1 and any(side % isqrt(layer.merge) for side in GRID):
            layer = replace(layer, merge=WINDOW)  # type: ignore[type-var]
        found, ends = layer.shrink_output(small(layer)), (layer.INPUT_WIDTH, layer.OUTPUT_WIDTH)
        times = max(layer.merge // merged, 1)
        merged *= times
        if getattr(layer, ends[0], 0) == times * wide:
            wide, narrow = times * wide, times * narrow
        if getattr(layer, ends[0], 0) == wide:
            found = replace(found, **{end: narrow for end in ends if getattr(layer, end, 0) == wide})  # type: ignore[type-var]
        if layer.OUTPUT_WIDTH:
            wide, narrow = getattr(layer, layer.OUTPUT_WIDTH), getattr(found, layer.OUTPUT_WIDTH)
        yield Named(name, found)
