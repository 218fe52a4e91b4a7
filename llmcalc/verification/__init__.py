"""Comparison of an architecture's declarations with a small NumPy model of the architecture.

>>> import llmcalc
>>> result = llmcalc.verify(llmcalc.load("gpt2"))
>>> result.ok, result.checks[0].quantity
(True, 'parameters')
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..calc.params import params
from ..core.architecture import Architecture
from ..core.errors import UnsupportedError
from ..core.shrink_tower import grid_of
from ..twins import twin
from .compare import compare
from .equation_model import generated_models
from .result import Check, Verification

__all__ = ["Check", "Verification", "verify"]


def verify(architecture: Architecture) -> Verification:
    """Compare an architecture's declarations with its NumPy model and with published figures.

    The NumPy model runs ``architecture.shrink()``, omitting encoders that have no NumPy model. Published figures
    are compared with the full architecture.

    Raises:
        UnsupportedError: A layer kind or one of its fields has no NumPy model.
    """
    towers = tuple(stack for stack in architecture.stacks if stack.role == "tower" and not stack.unused)
    run = towers if towers and _can_be_run(replace(architecture, stacks=towers)) else ()
    stacks = tuple(stack for stack in architecture.stacks if stack.role != "tower" or stack in run)
    small = replace(architecture, stacks=stacks).shrink()
    return Verification(architecture, small, (*compare(small), *_published_figures(architecture)))


def _published_figures(architecture: Architecture) -> Iterator[Check]:
    """Yield checks of published figures. Differences are accepted if an explanation is given."""
    counted = params(architecture)
    for fact in architecture.expect:
        attribute = "total" if fact.quantity == "params" else fact.quantity
        figure = int(fact.value) if float(fact.value).is_integer() else fact.value
        yield Check(
            f"{attribute.replace('_', '-')}, as published", getattr(counted, attribute), figure, "params",
            fact.tolerance, source=fact.source, explained=fact.note,
        )  # fmt: skip


def _can_be_run(towers: Architecture) -> bool:
    for stack in towers.stacks:
        layers = (layer for run in stack.runs for part in run.block.sublayers for _, layer in part.layers())
        if len({getattr(layer, "merge", 1) for layer in layers}) > 1:  # a small copy may lack some of the parts
            return False
    try:
        small = towers.shrink()
        model = twin(small, modules=generated_models(small))
        grid = grid_of(towers.stacks)
        pixels = model.stacks[0].input_shape(grid[0] * grid[1])
        if pixels is None or any(stack.input_shape(1) or not stack.n_learned_queries for stack in model.stacks[1:]):
            return False
        model.see(np.zeros((1, *pixels)), grid)
    except UnsupportedError:
        return False
    return True
