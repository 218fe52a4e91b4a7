"""Patches of an image stand on a grid: what that means for positions, for windows, and for patches that become one.

They come row by row. A window, and what becomes one, is a square of them.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np

from ..core.errors import InputError, UnsupportedError, shown
from .rope import frequencies
from .step import Step
from .weights import Array

Grid = tuple[int, int]  # rows and columns


def grid_of(patches: int, given: Grid | None) -> Grid:
    """The grid of so many patches, if it is given or a square."""
    side = isqrt(patches)
    if given is None and side * side != patches:
        raise InputError(f"{patches} patches are no square", hint="say how many rows and columns they have")
    rows, columns = given or (side, side)
    if rows * columns != patches:
        raise InputError(f"a grid of {shown(given)} has no {patches} patches")
    return rows, columns


def angles(layer: Any, step: Step, width: int) -> Array:
    """By which each pair of a head's numbers turns [q width/2]: some by the patch's row, the others by its column.

    In ``halves``, both with the same frequencies [wang2024]; with ``alternate`` frequencies, of which rows have the
    first, the third and so on [agrawal2024].
    """
    row, column = _places(step)
    every = frequencies(layer, width, 1) if layer.rope_grid == "alternate" else frequencies(layer, width // 2, 1)
    by_row, by_column = (every[0::2], every[1::2]) if layer.rope_grid == "alternate" else (every, every)
    return np.concatenate([row[:, None] * by_row, column[:, None] * by_column], axis=1)


def _places(step: Step) -> tuple[Array, Array]:
    if step.grid is None or step.prompt:
        raise UnsupportedError("positions on a grid are those of patches alone", where="attention")
    place = np.arange(step.ids.shape[1])
    return place // step.grid[1], place % step.grid[1]


def in_windows(x: Array, step: Step, size: int) -> Array:
    """``x`` [b q ...] as windows of ``size`` patches each, one behind the other [b·n size ...]."""
    side, (rows, columns) = _side(size), _must_fill(step, size)
    b, _, *inner = x.shape
    apart = x.reshape(b, rows // side, side, columns // side, side, *inner)
    return np.transpose(apart, (0, 1, 3, 2, 4, *range(5, 5 + len(inner)))).reshape(-1, size, *inner)


def out_of_windows(x: Array, step: Step, size: int) -> Array:
    """Back to row by row."""
    side, (rows, columns) = _side(size), _must_fill(step, size)
    inner = x.shape[2:]
    apart = x.reshape(-1, rows // side, columns // side, side, side, *inner)
    return np.transpose(apart, (0, 1, 3, 2, 4, *range(5, 5 + len(inner)))).reshape(-1, rows * columns, *inner)


def merged(x: Array, step: Step, size: int) -> Array:
    """Squares of so many patches, each of which becomes one [b·n size d]."""
    squares = in_windows(x, step, size)
    rows, columns = (length // _side(size) for length in step.grid or ())
    step.grid, step.merged = (rows, columns), step.merged * size
    return squares


def entered(layer: Any, x: Array, width: int, step: Step) -> Array:
    """The patches as a layer of this width behind the blocks sees them: without the learned tokens before them unless
    it knows of these, and merged as far as it says, side by side or as their mean.
    """
    if step.grid is None:
        return x
    if step.prompt and not layer.prompt:
        x, step.prompt = x[:, step.prompt :], 0
    size = layer.merge // step.merged
    if size <= 1:
        return x
    squares = merged(x, step, size)
    if width not in (x.shape[-1], size * x.shape[-1]):
        text = f"{size} patches of width {x.shape[-1]} side by side are not {width} wide"
        raise UnsupportedError(text, where=layer.kind())
    if width == x.shape[-1]:
        joined = np.mean(squares, axis=1)
    else:
        joined = np.transpose(squares, (0, 2, 1)) if getattr(layer, "merge_by_channel", False) else squares
    return joined.reshape(x.shape[0], -1, width)


def _side(size: int) -> int:
    side = isqrt(size)
    if side * side != size:
        raise UnsupportedError(f"{size} patches are no square")
    return side


def _must_fill(step: Step, size: int) -> Grid:
    side = _side(size)
    if step.grid is None or step.prompt or any(length % side for length in step.grid):
        raise UnsupportedError(f"squares of {side} by {side} patches do not fill the grid of patches")
    return step.grid
