"""Number of earlier block sums (``n_sums``) that each layer with attention residuals attends to.

The number depends on the position of the layer. A layer with ``closes`` set ends a group of layers, and every
later layer attends to one additional sum.
"""

from __future__ import annotations

from collections.abc import Callable

from .architecture import Block, Named, Run, Stack, Sublayer
from .errors import SizeError
from .layer import Layer
from .record import changed

Change = Callable[[Layer], Layer]
MOST_SUMS = 256  # layers that differ only in n_sums are distinct layers


def with_n_sums(stack: Stack) -> Stack:
    """Return the stack with ``n_sums`` set in all layers that attend to earlier sums."""
    if not _has_n_sums(stack):
        return stack
    closed = 0

    def count(layer: Layer) -> Layer:
        nonlocal closed
        if not layer.COUNTS_SUMS:
            return layer
        found = layer.with_sums(closed)
        closed += layer.ends_group()
        if closed > MOST_SUMS:
            raise SizeError(f"closes is set in more than {MOST_SUMS} layers", where=stack.name)
        return found

    inputs, runs = change_named(stack.inputs, count), list[Run]()
    known: dict[tuple[int, int], tuple[Block, int]] = {}  # by block and number of sums, because many runs are equal
    for run in stack.runs:
        closing = any(layer.ends_group() for _, layer in run.block.layers())
        for _ in range(int(run.count) if closing else 1):
            key = id(run.block), closed
            if key not in known:
                parts = tuple(change_sublayer(part, count) for part in run.block.sublayers)
                known[key] = changed(run.block, sublayers=parts), closed
            block, closed = known[key]
            runs.append(Run(block, 1 if closing else run.count, run.shared))
    return changed(stack, inputs=inputs, runs=tuple(runs), outputs=change_named(stack.outputs, count))


def without_n_sums(stack: Stack) -> Stack:
    """Return the original stack by resetting ``n_sums`` and merging equal blocks."""
    if not _has_n_sums(stack):
        return stack

    def reset(layer: Layer) -> Layer:
        return layer.with_sums(1)

    runs = list[Run]()
    for run in stack.runs:
        block = changed(run.block, sublayers=tuple(change_sublayer(part, reset) for part in run.block.sublayers))
        count = run.count
        if runs and (runs[-1].block, runs[-1].shared) == (block, run.shared):
            count += runs.pop().count
        runs.append(Run(block, count, run.shared))
    return changed(stack, runs=tuple(runs), outputs=change_named(stack.outputs, reset))


def _has_n_sums(stack: Stack) -> bool:
    blocks = {id(run.block): run.block for run in stack.runs}.values()
    within = (layer for block in blocks for _, layer in block.layers())
    return any(layer.COUNTS_SUMS for layer in (*within, *(layer for _, layer in stack.outputs)))


def change_named(layers: tuple[Named, ...], change: Change) -> tuple[Named, ...]:
    """Apply ``change`` to named layers in order."""
    return tuple(Named(name, change(layer)) for name, layer in layers)


def change_sublayer(part: Sublayer, change: Change) -> Sublayer:
    """Apply ``change`` to the layers of a sub-layer in execution order."""

    def optional(layer: Layer | None) -> Layer | None:
        return layer and change(layer)

    pre = optional(part.pre)
    branches = tuple(
        changed(branch, pre=optional(branch.pre), layer=change(branch.layer), post=optional(branch.post))
        for branch in part.branches
    )
    return changed(part, pre=pre, branches=branches, post=optional(part.post), after=optional(part.after))
