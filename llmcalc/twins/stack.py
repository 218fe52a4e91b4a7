"""One stack at work: inputs, residual blocks, outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import UnsupportedError
from .functions import times
from .plan import Placed, PlacedBranch, PlacedStack, PlacedSublayer
from .step import Cache, Step
from .weights import Array


def run_stack(stack: PlacedStack, tensors: Mapping[str, Array], step: Step, cache: Cache | None, logits: str) -> Array:
    """What the stack gives for a step's tokens: logits, or the residual stream if it has no head."""
    run = _Runner(tensors, step, cache if stack.stack.role != "encoder" else None, stack.stack.name)
    x: Any = step.data
    for placed in stack.inputs:
        if not getattr(placed.layer, "unused", False):
            x = run.layer(placed, x, placed.layer.kind())
    step.first = x
    step.streams = [x]
    beside = x  # of a reversible stack
    for time, number in enumerate(stack.order):
        step.depth = time, len(stack.order)
        if stack.stack.reversible:
            beside, x = run.turns(stack.blocks[number], beside, x, time)
        else:
            x = run.block(stack.blocks[number], x, time)
        step.streams.append(x)
    x = np.concatenate([beside, x], axis=-1) if stack.stack.reversible else x
    for placed in stack.outputs:
        if getattr(placed.layer, "unused", False):
            continue
        if logits == "last" and _sees_logit_positions(placed.layer):
            x = x[:, step.ids.shape[1] - 1 :: step.ids.shape[1]]  # of every copy of the tokens its last one
        if len(x.shape) == 4 and not _reads_streams(placed):
            x = np.mean(x, axis=2)
        y = run.layer(placed, x, placed.layer.kind())
        x = x if getattr(placed.layer, "dropped", False) else y
    return x


def _sees_logit_positions(layer: Any) -> bool:
    """Whether a layer runs on those positions alone whose logits are asked for."""
    return layer.kind() == "head" or getattr(layer, "positions", "") == "logits"


def _reads_streams(placed: Placed) -> bool:
    """Whether a layer tells several residual streams apart; for all others they become one, their mean."""
    return hasattr(placed.module, "connect") or getattr(placed.layer, "stream", None) is not None


def _adds(after: Placed) -> bool:
    """Whether what stands behind a sub-layer adds its result to the stream itself."""
    return hasattr(after.module, "adds") and after.module.adds(after.layer)


class _Runner:
    """Runs layers with their weights, and each with the state that is its own."""

    def __init__(self, tensors: Mapping[str, Array], step: Step, cache: Cache | None, stack: str) -> None:
        self.tensors, self.step, self.cache, self.stack = tensors, step, cache, stack

    def layer(self, placed: Placed, x: Any, *key: object) -> Array:
        """A layer's output; ``key`` says which application of it this is."""
        w = placed.weights_in(self.tensors)
        w = w.constant() if placed.stack.frozen else w
        state = None if self.cache is None else self.cache.layers.setdefault((self.stack, *key), {})
        return placed.module.forward(placed.layer, w, x, self.step, state)

    def block(self, block: Sequence[PlacedSublayer], x: Array, time: int) -> Array:
        """Sub-layer after sub-layer."""
        if block and hasattr(block[0].branches[0].layer.module, "predict"):
            return self.alternating(block[0].branches[0].layer, block, x, time)
        self.step.before, self.step.joining = {}, {}
        merged = self.step.merged
        for place, sublayer in enumerate(block):
            self.step.before[sublayer.name] = x
            x = self.sublayer(sublayer, x, time, place)
            for late in self.step.joining.get(sublayer.name, ()):
                x = x + late
        if self.step.grid and self.step.merged != merged:
            raise UnsupportedError("patches become fewer within the blocks", where=self.stack)
        return x

    def turns(self, block: Sequence[PlacedSublayer], one: Array, other: Array, time: int) -> tuple[Array, Array]:
        """Two streams, of which a sub-layer reads the second and adds to the first, then they change places."""
        for place, sublayer in enumerate(block):
            if sublayer.after or not sublayer.residual or sublayer.input_from or sublayer.residual_from:
                text = f"{sublayer.name} does not just add to a stream, of which there are two"
                raise UnsupportedError(text, where=sublayer.name)
            h = self.branches(sublayer.branches, self._maybe(sublayer.pre, other, time, place), time, place)
            total, one = self._weighed(sublayer, self._maybe(sublayer.post, h, time, place), one)
            one, other = other, one + total
        return one, other

    def alternating(self, updates: Placed, block: Sequence[PlacedSublayer], streams: Array, time: int) -> Array:
        """A block on one of several streams, between a prediction of all and its correction; then its own input."""
        layer, module, w = updates.layer, updates.module, updates.weights_in(self.tensors)
        predicted = module.predict(layer, w, streams)
        x = predicted[:, :, layer.active]
        own_input = [number for number, part in enumerate(block) if part.branches[0].layer.layer.kind() == _OWN_INPUT]
        for place in range(1, own_input[0] if own_input else len(block)):
            x = self.sublayer(block[place], x, time, place)
        streams = module.correct(layer, w, predicted, x)
        for place in own_input:
            y = self.branches(block[place].branches, module.scaled(layer, w, streams), time, place)
            streams = module.added_beside(layer, streams, self._maybe(block[place].post, y, time, place))
        return streams

    def sublayer(self, sublayer: PlacedSublayer, x: Array, *key: object) -> Array:
        """``x = after(x + scale · post(Σ branches(pre(x))))``, the branches side by side on the same input."""
        if sublayer.pre is not None and hasattr(sublayer.pre.module, "connect"):
            return self.connected(sublayer, sublayer.pre, x, *key)
        used = [branch for branch in sublayer.branches if not getattr(branch.layer.layer, "unused", False)]
        if not used:
            return x
        first = used[0].layer
        if hasattr(first.module, "aside") and first.module.aside(first.layer):
            if sublayer.residual:
                raise UnsupportedError("what stays beside the stream is not added to it", where=sublayer.name)
            self.branches(used, x, *key)
            return x
        beside = getattr(first.module, "beside", None)
        if beside and beside(first.layer):
            self.step.kept["beside"] = self.added(sublayer, used, self.step.kept["beside"], *key)
        return self.added(sublayer, used, self._entered(first, x), *key)

    def added(self, sublayer: PlacedSublayer, used: Sequence[PlacedBranch], x: Array, *key: object) -> Array:
        """The stream with what the branches give, between the norms."""
        read = self.step.before[sublayer.input_from] if sublayer.input_from else x
        if sublayer.concat_input:
            read = np.concatenate([read, self.step.first], axis=-1)
        self.step.turn = self.step.turns.setdefault(sublayer.name, 0)
        self.step.turns[sublayer.name] += 1
        h = self._maybe(sublayer.pre, read, *key)
        total = self.branches(used, h, *key)
        x = self.step.before[sublayer.residual_from] if sublayer.residual_from else x
        self.step.stream = x = h if sublayer.residual_normed else x
        total, x = self._weighed(sublayer, self._maybe(sublayer.post, total, *key), x)
        after = sublayer.after
        if after is not None and _adds(after):
            return after.module.add(after.layer, after.weights_in(self.tensors), total, x)
        return self._maybe(after, x + total if sublayer.residual else total, *key)

    def _weighed(self, sublayer: PlacedSublayer, total: Array, x: Array) -> tuple[Array, Array]:
        """A result and what it is added to, each with its factor."""
        own, other = sublayer.scale, sublayer.residual_scale
        if sublayer.depth_scaled:
            self.step.n_added += 1
            own, other = own * math.sqrt(1 / self.step.n_added), other * math.sqrt(1 - 1 / self.step.n_added)
        return times(total, own), times(x, other)

    def connected(self, sublayer: PlacedSublayer, connection: Placed, streams: Array, *key: object) -> Array:
        """A sub-layer that reads from several residual streams and writes to them."""
        h, write = connection.module.connect(connection.layer, connection.weights_in(self.tensors), streams)
        return write(self._maybe(sublayer.post, self.branches(sublayer.branches, h, *key), *key))

    def branches(self, branches: Sequence[PlacedBranch], h: Array, *key: object) -> Array:
        """The sum of the branches, each with norms of its own; what joins the stream later is put aside."""
        self.step.unnormed = h
        total: Any = None
        for number, branch in enumerate(branches):
            y = self._maybe(branch.pre, h, *key, number)
            y = self.layer(branch.layer, y, *key, number)
            y = self._maybe(branch.post, y, *key, number)
            if branch.joins:
                self.step.joining.setdefault(branch.joins, []).append(y)
            else:
                total = y if total is None else total + y
        return total

    def _entered(self, placed: Placed, x: Array) -> Array:
        """The stream as a layer finds it that changes the number of its positions, beside what it adds to it."""
        enter = getattr(placed.module, "enter", None)
        return x if enter is None else enter(placed.layer, x, self.step)

    def _maybe(self, norm: Placed | None, x: Array, *key: object) -> Array:
        return x if norm is None else self.layer(norm, x, *key, "norm")


_OWN_INPUT = "per_layer_gate"
