"""Declared against executed: an architecture's small twin is run, and what runs is compared with what is declared.

>>> import llmcalc
>>> result = llmcalc.verify(llmcalc.load("gpt2"))
>>> result.ok, result.checks[0].quantity
(True, 'parameters')
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..core.architecture import Architecture, Stack
from ..core.errors import UnsupportedError
from ..core.shrink_tower import grid_of
from ..twins import twin
from .compare import compare
from .published import published
from .result import Check, Verification

__all__ = ["Check", "Verification", "verify"]


def verify(architecture: Architecture) -> Verification:
    """Compare the declarations of an architecture with its NumPy model and with what is published of it.

    The model is that of ``architecture.shrink()``, without towers that have no NumPy model; published figures are those
    of the architecture itself.

    Raises:
        UnsupportedError: a layer kind, or a field of one, that has no NumPy model.
    """
    small = replace(architecture, stacks=tuple(_runnable(architecture))).shrink()
    return Verification(architecture, small, (*compare(small), *published(architecture)))


def _runnable(architecture: Architecture) -> Iterator[Stack]:
    """The stacks of text, and towers that can be run, one behind the other."""
    towers = tuple(stack for stack in architecture.stacks if stack.role == "tower" and not stack.unused)
    seen = bool(towers) and _can_be_run(replace(architecture, stacks=towers))
    yield from (stack for stack in architecture.stacks if stack.role != "tower" or (seen and stack in towers))


def _can_be_run(towers: Architecture) -> bool:
    if any(len(_merges(stack)) > 1 for stack in towers.stacks):  # which a small tower may not show
        return False
    try:
        model = twin(towers.shrink())
        grid = grid_of(towers.stacks)
        pixels = model.stacks[0].input_shape(grid[0] * grid[1])
        if pixels is None or any(stack.input_shape(1) or not stack.n_learned_queries for stack in model.stacks[1:]):
            return False
        model.see(np.zeros((1, *pixels)), grid)
    except UnsupportedError:
        return False
    return True


def _merges(stack: Stack) -> set[int]:
    """Of how many patches the blocks' positions consist."""
    layers = (layer for run in stack.runs for part in run.block.sublayers for _, layer in part.layers())
    return {getattr(layer, "merge", 1) for layer in layers}
