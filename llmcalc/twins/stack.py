"""One stack at work: inputs, residual blocks, outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .plan import Placed, PlacedBranch, PlacedStack, PlacedSublayer
from .step import Cache, Step
from .weights import Array


def run_stack(stack: PlacedStack, tensors: Mapping[str, Array], step: Step, cache: Cache | None, logits: str) -> Array:
    """What the stack gives for a step's tokens: logits, or the residual stream if it has no head."""
    run = _Runner(tensors, step, cache if stack.stack.role != "encoder" else None, stack.stack.name)
    x: Any = None
    for placed in stack.inputs:
        if not getattr(placed.layer, "unused", False):
            x = run.layer(placed, x, placed.layer.kind())
    for time, number in enumerate(stack.order):
        for place, sublayer in enumerate(stack.blocks[number]):
            x = run.sublayer(sublayer, x, time, place)
    for placed in stack.outputs:
        if logits == "last" and _sees_logit_positions(placed.layer):
            x = x[:, -1:]
        y = run.layer(placed, x, placed.layer.kind())
        x = x if getattr(placed.layer, "dropped", False) else y
    return x


def _sees_logit_positions(layer: Any) -> bool:
    """Whether a layer runs on those positions alone whose logits are asked for."""
    return layer.kind() == "head" or getattr(layer, "positions", "") == "logits"


class _Runner:
    """Runs layers with their weights, and each with the state that is its own."""

    def __init__(self, tensors: Mapping[str, Array], step: Step, cache: Cache | None, stack: str) -> None:
        self.tensors, self.step, self.cache, self.stack = tensors, step, cache, stack

    def layer(self, placed: Placed, x: Any, *key: object) -> Array:
        """A layer's output; ``key`` says which application of it this is."""
        w = placed.weights_in(self.tensors)
        state = None if self.cache is None else self.cache.layers.setdefault((self.stack, *key), {})
        return placed.module.forward(placed.layer, w, x, self.step, state)

    def sublayer(self, sublayer: PlacedSublayer, x: Array, *key: object) -> Array:
        """``x = after(x + post(Σ branches(pre(x))))``, the branches side by side on the same input."""
        if sublayer.pre is not None and hasattr(sublayer.pre.module, "connect"):
            return self.connected(sublayer, sublayer.pre, x, *key)
        used = [branch for branch in sublayer.branches if not getattr(branch.layer.layer, "unused", False)]
        if not used:
            return x
        total = self.branches(used, self._maybe(sublayer.pre, x, *key), *key)
        total = self._maybe(sublayer.post, total, *key)
        return self._maybe(sublayer.after, x + total if sublayer.residual else total, *key)

    def connected(self, sublayer: PlacedSublayer, connection: Placed, streams: Array, *key: object) -> Array:
        """A sub-layer that reads from several residual streams and writes to them."""
        h, write = connection.module.connect(connection.layer, connection.weights_in(self.tensors), streams)
        return write(self._maybe(sublayer.post, self.branches(sublayer.branches, h, *key), *key))

    def branches(self, branches: Sequence[PlacedBranch], h: Array, *key: object) -> Array:
        """The sum of the branches, each with norms of its own."""
        total: Any = None
        for number, branch in enumerate(branches):
            y = self._maybe(branch.pre, h, *key, number)
            y = self.layer(branch.layer, y, *key, number)
            y = self._maybe(branch.post, y, *key, number)
            total = y if total is None else total + y
        return total

    def _maybe(self, norm: Placed | None, x: Array, *key: object) -> Array:
        return x if norm is None else self.layer(norm, x, *key, "norm")
