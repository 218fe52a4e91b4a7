"""Positions, windows and merging of image patches on a grid.

Patches are in row-major order. Windows and merged patches are square.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np

from ..core.errors import InputError, UnsupportedError, short_repr
from .rope import frequencies
from .step import Step
from .weights import Array

Grid = tuple[int, int]  # rows and columns


def grid_of(patches: int, given: Grid | None) -> Grid:
    """Return the number of rows and columns of a patch grid (default: a square grid)."""
    side = isqrt(patches)
    if given is None and side * side != patches:
        raise InputError(f"{patches} patches do not form a square", hint="pass grid=(rows, columns)")
    rows, columns = given or (side, side)
    if rows * columns != patches:
        raise InputError(f"grid {short_repr(given)} does not contain {patches} patches")
    return rows, columns


def angles(rope: Any, step: Step, width: int) -> Array:
    """Return rotary angles [q width/2], where some pairs rotate by the patch's row and others by its column.

    With ``halves``, rows and columns use the same frequencies [wang2024]. With ``alternate``, rows use the
    even-numbered frequencies and columns the odd-numbered ones, counting from 0 [agrawal2024].
    """
    if step.grid is None or step.prompt:
        raise UnsupportedError("grid positions require a stack that runs only on patches", where="attention")
    row, column = np.divmod(np.arange(step.ids.shape[1]), step.grid[1])
    every = frequencies(rope, width, 1) if rope.grid == "alternate" else frequencies(rope, width // 2, 1)
    by_row, by_column = (every[0::2], every[1::2]) if rope.grid == "alternate" else (every, every)
    return np.concatenate([row[:, None] * by_row, column[:, None] * by_column], axis=1)


def split_windows(x: Array, step: Step, size: int) -> Array:
    """Split ``x`` [b q ...] into square windows of ``size`` patches [b·n size ...]."""
    side, (rows, columns) = _check_fills(step, size)
    b, _, *inner = x.shape
    apart = x.reshape(b, rows // side, side, columns // side, side, *inner)
    return np.transpose(apart, (0, 1, 3, 2, 4, *range(5, 5 + len(inner)))).reshape(-1, size, *inner)


def join_windows(x: Array, step: Step, size: int) -> Array:
    """Join the windows made by ``split_windows``, restoring row-major patch order."""
    side, (rows, columns) = _check_fills(step, size)
    inner = x.shape[2:]
    apart = x.reshape(-1, rows // side, columns // side, side, side, *inner)
    return np.transpose(apart, (0, 1, 3, 2, 4, *range(5, 5 + len(inner)))).reshape(-1, rows * columns, *inner)


def merge_squares(x: Array, step: Step, size: int) -> Array:
    """Group patches into squares of ``size`` patches and merge each square into one position [b·n size d]."""
    side, (rows, columns) = _check_fills(step, size)
    squares = split_windows(x, step, size)
    step.grid, step.n_merged = (rows // side, columns // side), step.n_merged * size
    return squares


def merge_patches(layer: Any, x: Array, width: int, step: Step) -> Array:
    """Merge patches to match an output layer's input width ``width``, and drop unused prompt tokens.

    Patches are averaged if their width equals ``width``, and concatenated otherwise.
    """
    if step.grid is None:
        return x
    sequence = layer.sequence
    if step.prompt and not (sequence and sequence.prompt):
        x, step.prompt = x[:, step.prompt :], 0
    size = layer.merge // step.n_merged
    if size <= 1:
        return x
    squares = merge_squares(x, step, size)
    if width not in (x.shape[-1], size * x.shape[-1]):
        text = f"{size} concatenated patches of width {x.shape[-1]} do not have width {width}"
        raise UnsupportedError(text, where=layer.kind())
    if width == x.shape[-1]:
        joined = np.mean(squares, axis=1)
    else:
        joined = np.transpose(squares, (0, 2, 1)) if getattr(sequence, "merge_by_channel", False) else squares
    return joined.reshape(x.shape[0], -1, width)


def _check_fills(step: Step, size: int) -> tuple[int, Grid]:
    """Check that squares of ``size`` patches tile the patch grid, and return the squares' side length and the grid."""
    side = isqrt(size)
    if side * side != size:
        raise UnsupportedError(f"{size} patches do not form a square")
    if step.grid is None or step.prompt or any(length % side for length in step.grid):
        raise UnsupportedError(f"squares of {side} by {side} patches do not tile the patch grid")
    return side, step.grid
