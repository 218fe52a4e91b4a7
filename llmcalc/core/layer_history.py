"""Attention residuals: the number of earlier block sums (``n_sums``) that each layer attends to.

It follows from the position of a layer: a layer with ``closes`` ends a group of layers, and every later layer attends
to one more sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .architecture import Named, Run, Stack, Sublayer
from .errors import SizeError
from .layer import Layer

Change = Callable[[Layer], Layer]
MOST_SUMS = 256  # layers after different numbers of sums are different layers


def with_n_sums(stack: Stack) -> Stack:
    """Return the stack with ``n_sums`` set in every layer that has it.

    Raises:
        SizeError: there are too many sums.
    """
    if not _has_n_sums(stack):
        return stack
    from dataclasses import replace  # slow to import, and rarely needed

    closed = 0

    def count(layer: Layer) -> Layer:
        nonlocal closed
        if not hasattr(layer, "n_sums"):
            return layer
        found: Layer = replace(layer, n_sums=closed)  # type: ignore[type-var]
        closed += getattr(layer, "closes", False)
        if closed > MOST_SUMS:
            raise SizeError(f"more than {MOST_SUMS} layers set closes", where=stack.name)
        return found

    inputs, runs = _change_named(stack.inputs, count), list[Run]()
    for run in stack.runs:
        closing = any(getattr(layer, "closes", False) for part in run.block.sublayers for _, layer in part.layers())
        for _ in range(run.count if closing else 1):
            block = replace(run.block, sublayers=tuple(_change_sublayer(part, count) for part in run.block.sublayers))
            runs.append(Run(block, 1 if closing else run.count, run.shared))
    return replace(stack, inputs=inputs, runs=tuple(runs), outputs=_change_named(stack.outputs, count))


def without_n_sums(stack: Stack) -> Stack:
    """Return the stack as descriptions write it, without ``n_sums`` and with equal blocks merged."""
    if not _has_n_sums(stack):
        return stack
    from dataclasses import replace

    def reset(layer: Layer) -> Layer:
        return replace(layer, n_sums=1) if hasattr(layer, "n_sums") else layer  # type: ignore[type-var]

    runs = list[Run]()
    for run in stack.runs:
        block = replace(run.block, sublayers=tuple(_change_sublayer(part, reset) for part in run.block.sublayers))
        count = run.count
        if runs and (runs[-1].block, runs[-1].shared) == (block, run.shared):
            count += runs.pop().count
        runs.append(Run(block, count, run.shared))
    return replace(stack, runs=tuple(runs), outputs=_change_named(stack.outputs, reset))


def _has_n_sums(stack: Stack) -> bool:
    blocks = {id(run.block): run.block for run in stack.runs}.values()
    within = (layer for block in blocks for part in block.sublayers for _, layer in part.layers())
    return any(hasattr(layer, "n_sums") for layer in (*within, *(layer for _, layer in stack.outputs)))


def _change_named(layers: tuple[Named, ...], change: Change) -> tuple[Named, ...]:
    return tuple(Named(name, change(layer)) for name, layer in layers)


def _change_sublayer(part: Sublayer, change: Change) -> Sublayer:
    """Change the layers of a sub-layer in execution order."""
    from dataclasses import replace

    def change_optional(layer: Layer | None) -> Layer | None:
        return None if layer is None else change(layer)

    around: dict[str, Any] = {"pre": change_optional(part.pre)}
    around["branches"] = tuple(
        replace(branch, pre=change_optional(branch.pre), layer=change(branch.layer), post=change_optional(branch.post))
        for branch in part.branches
    )
    around |= {"post": change_optional(part.post), "after": change_optional(part.after)}
    return replace(part, **around)
