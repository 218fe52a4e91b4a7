"""One stack at work: inputs, residual blocks, outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .functions import times
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
            x = x[:, step.ids.shape[1] - 1 :: step.ids.shape[1]]  # of every copy of the tokens its last one
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
        """``x = after(x + scale · post(Σ branches(pre(x))))``, the branches side by side on the same input."""
        used = [branch for branch in sublayer.branches if not getattr(branch.layer.layer, "unused", False)]
        if not used:
            return x
        first = used[0].layer
        beside = getattr(first.module, "beside", None)
        if beside and beside(first.layer):
            self.step.kept["beside"] = self.added(sublayer, used, self.step.kept["beside"], *key)
        return self.added(sublayer, used, self._entered(first, x), *key)

    def added(self, sublayer: PlacedSublayer, used: Sequence[PlacedBranch], x: Array, *key: object) -> Array:
        """The stream with what the branches give, between the norms."""
        h = self._maybe(sublayer.pre, x, *key)
        total: Any = None
        for number, branch in enumerate(used):
            y = self._maybe(branch.pre, h, *key, number)
            y = self.layer(branch.layer, y, *key, number)
            y = self._maybe(branch.post, y, *key, number)
            total = y if total is None else total + y
        total = times(self._maybe(sublayer.post, total, *key), sublayer.scale)
        if sublayer.after is not None and getattr(sublayer.after.layer, "residual", False):
            after = sublayer.after
            return after.module.add(after.layer, after.weights_in(self.tensors), total, x)
        return self._maybe(sublayer.after, x + total if sublayer.residual else total, *key)

    def _entered(self, placed: Placed, x: Array) -> Array:
        """The stream as a layer finds it that changes the number of its positions, beside what it adds to it."""
        enter = getattr(placed.module, "enter", None)
        return x if enter is None else enter(placed.layer, x, self.step)

    def _maybe(self, norm: Placed | None, x: Array, *key: object) -> Array:
        return x if norm is None else self.layer(norm, x, *key, "norm")
