"""Sums of earlier blocks of layers, for layers that look back at them (attention residuals): how many there are.

Where a layer stands says it, so no description gives it: a layer with ``closes`` ends a block of layers, and every
layer behind it has one more sum to look at (``n_sums``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .architecture import Named, Run, Stack, Sublayer
from .errors import SizeError
from .layer import Layer

Change = Callable[[Layer], Layer]
MOST_SUMS = 256  # every layer behind a sum is a layer of its own


def counted(stack: Stack) -> Stack:
    """The stack with ``n_sums`` in every layer that looks back.

    Raises:
        SizeError: more sums than any model has.
    """
    if not _looks_back(stack):
        return stack
    from dataclasses import replace  # slow to import, and needed by few

    closed = 0

    def count(layer: Layer) -> Layer:
        nonlocal closed
        if not hasattr(layer, "n_sums"):
            return layer
        found: Layer = replace(layer, n_sums=closed)  # type: ignore[type-var]
        closed += getattr(layer, "closes", False)
        if closed > MOST_SUMS:
            raise SizeError(
                f"more than {MOST_SUMS} blocks of layers are closed, each with a sum of its own", where=stack.name
            )
        return found

    inputs, runs = _named(stack.inputs, count), list[Run]()
    for run in stack.runs:
        closing = any(getattr(layer, "closes", False) for part in run.block.sublayers for _, layer in part.layers())
        for _ in range(run.count if closing else 1):
            block = replace(run.block, sublayers=tuple(_changed(part, count) for part in run.block.sublayers))
            runs.append(Run(block, 1 if closing else run.count, run.shared))
    return replace(stack, inputs=inputs, runs=tuple(runs), outputs=_named(stack.outputs, count))


def uncounted(stack: Stack) -> Stack:
    """The stack as a description gives it, its runs of equal blocks joined."""
    if not _looks_back(stack):
        return stack
    from dataclasses import replace

    def forget(layer: Layer) -> Layer:
        return replace(layer, n_sums=1) if hasattr(layer, "n_sums") else layer  # type: ignore[type-var]

    runs = list[Run]()
    for run in stack.runs:
        block = replace(run.block, sublayers=tuple(_changed(part, forget) for part in run.block.sublayers))
        count = run.count
        if runs and (runs[-1].block, runs[-1].shared) == (block, run.shared):
            count += runs.pop().count
        runs.append(Run(block, count, run.shared))
    return replace(stack, runs=tuple(runs), outputs=_named(stack.outputs, forget))


def _looks_back(stack: Stack) -> bool:
    blocks = {id(run.block): run.block for run in stack.runs}.values()
    within = (layer for block in blocks for part in block.sublayers for _, layer in part.layers())
    return any(hasattr(layer, "n_sums") for layer in (*within, *(layer for _, layer in stack.outputs)))


def _named(layers: tuple[Named, ...], change: Change) -> tuple[Named, ...]:
    return tuple(Named(name, change(layer)) for name, layer in layers)


def _changed(part: Sublayer, change: Change) -> Sublayer:
    """A sub-layer whose layers are changed in the order in which they run."""
    from dataclasses import replace

    def maybe(layer: Layer | None) -> Layer | None:
        return None if layer is None else change(layer)

    around: dict[str, Any] = {"pre": maybe(part.pre)}
    around["branches"] = tuple(
        replace(branch, pre=maybe(branch.pre), layer=change(branch.layer), post=maybe(branch.post))
        for branch in part.branches
    )
    around |= {"post": maybe(part.post), "after": maybe(part.after)}
    return replace(part, **around)
