"""Execution of one stack, from input layers through residual blocks to output layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.architecture import Sublayer
from ..core.errors import UnsupportedError
from .functions import times
from .plan import PlacedBranch, PlacedLayer, PlacedStack, PlacedSublayer
from .step import Cache, Step
from .weights import Array


def run_stack(stack: PlacedStack, tensors: Mapping[str, Array], step: Step, cache: Cache | None, logits: str) -> Array:
    """Run a stack for one step, and return the logits, or the residual stream if the stack has no head."""
    run = _Runner(tensors, step, cache if stack.stack.role != "encoder" else None, stack.stack.name)
    x: Any = step.data
    for placed in stack.inputs:
        if not getattr(placed.layer, "unused", False):
            x = run.layer(placed, x, placed.layer.kind())
    step.first_input = x
    step.streams = [x]
    other = x  # second stream of a reversible stack
    for time, number in enumerate(stack.order):
        step.depth = time, len(stack.order)
        if stack.stack.reversible:
            other, x = run.reversible_block(stack.blocks[number], other, x, time)
        else:
            x = run.block(stack.blocks[number], x, time)
        step.streams.append(x)
    x = np.concatenate([other, x], axis=-1) if stack.stack.reversible else x
    for placed in stack.outputs:
        layer = placed.layer
        if getattr(layer, "unused", False):
            continue
        if logits == "last" and (layer.kind() == "head" or getattr(layer, "positions", "") == "logits"):
            x = x[:, step.ids.shape[1] - 1 :: step.ids.shape[1]]  # the last token of every copy
        reads_streams = hasattr(placed.module, "connect") or getattr(layer, "residual_stream", None) is not None
        if len(x.shape) == 4 and not reads_streams:
            x = np.mean(x, axis=2)
        if layer.kind() == "norm":
            step.unnormed_output = x
        y = run.layer(placed, x, layer.kind())
        x = x if getattr(layer, "dropped", False) else y
    return x


class _Runner:
    """Runs layers with the weights and cached states of one stack."""

    def __init__(self, tensors: Mapping[str, Array], step: Step, cache: Cache | None, stack: str) -> None:
        self.tensors, self.step, self.cache, self.stack = tensors, step, cache, stack

    def layer(self, placed: PlacedLayer, x: Any, *key: object) -> Array:
        """Return a layer's output, using ``key`` to identify this use of the layer in the cache."""
        w = placed.weights_in(self.tensors)
        w = w.constant() if placed.stack.frozen else w
        state = None if self.cache is None else self.cache.layers.setdefault((self.stack, *key), {})
        return placed.module.forward(placed.layer, w, x, self.step, state)

    def block(self, block: Sequence[PlacedSublayer], x: Array, time: int) -> Array:
        """Run the sub-layers of a block in order."""
        if block and hasattr(block[0].branches[0].layer.module, "predict"):
            return self.predicted_block(block[0].branches[0].layer, block, x, time)
        self.step.sublayer_inputs, self.step.deferred_results = {}, {}
        merged = self.step.n_merged
        for place, sublayer in enumerate(block):
            self.step.sublayer_inputs[sublayer.part.name] = x
            x = self.sublayer(sublayer, x, time, place)
            for late in self.step.deferred_results.get(sublayer.part.name, ()):
                x = x + late
        if self.step.grid and self.step.n_merged != merged:
            raise UnsupportedError("the number of patches changes within a block", where=self.stack)
        return x

    def reversible_block(
        self, block: Sequence[PlacedSublayer], one: Array, other: Array, time: int
    ) -> tuple[Array, Array]:
        """Run a reversible block, whose sub-layers read one stream, add to the other, and swap the streams."""
        for place, sublayer in enumerate(block):
            part = sublayer.part
            if sublayer.after or not part.residual or part.input_from or part.residual_from:
                text = f"{part.name} must only add to the stream in a reversible stack"
                raise UnsupportedError(text, where=part.name)
            h = self.branches(sublayer.branches, self._optional(sublayer.pre, other, time, place), time, place)
            total, one = self._scale_terms(part, self._optional(sublayer.post, h, time, place), one)
            one, other = other, one + total
        return one, other

    def predicted_block(
        self, updates: PlacedLayer, block: Sequence[PlacedSublayer], streams: Array, time: int
    ) -> Array:
        """Predict all streams, run a block on one stream, correct all streams, and add the per-layer input (AltUp)."""
        layer, module, w = updates.layer, updates.module, updates.weights_in(self.tensors)
        predicted = module.predict(layer, w, streams)
        x = predicted[:, :, layer.active]
        own_input = [
            number for number, part in enumerate(block) if part.branches[0].layer.layer.kind() == "per_layer_gate"
        ]
        for place in range(1, own_input[0] if own_input else len(block)):
            x = self.sublayer(block[place], x, time, place)
        streams = module.correct(layer, w, predicted, x)
        for place in own_input:
            y = self.branches(block[place].branches, module.scale_active(layer, w, streams), time, place)
            streams = module.add_to_inactive(layer, streams, self._optional(block[place].post, y, time, place))
        return streams

    def sublayer(self, sublayer: PlacedSublayer, x: Array, *key: object) -> Array:
        """Compute ``x = after(x + scale · post(Σ branches(pre(x))))``, where all branches read the same input."""
        connection = sublayer.pre
        if connection is not None and hasattr(connection.module, "connect"):  # several streams
            h, write = connection.module.connect(connection.layer, connection.weights_in(self.tensors), x)
            return write(self._optional(sublayer.post, self.branches(sublayer.branches, h, *key), *key))
        used = [branch for branch in sublayer.branches if not getattr(branch.layer.layer, "unused", False)]
        if not used:
            return x
        first = used[0].layer
        if hasattr(first.module, "bypasses_stream") and first.module.bypasses_stream(first.layer):
            if sublayer.part.residual:
                text = "a layer that bypasses the stream cannot be added to the stream"
                raise UnsupportedError(text, where=sublayer.part.name)
            self.branches(used, x, *key)
            return x
        on_side_tokens = getattr(first.module, "runs_on_side_tokens", None)
        if on_side_tokens and on_side_tokens(first.layer):
            side = self.step.saved_streams["side_tokens"]
            self.step.saved_streams["side_tokens"] = self.residual_sublayer(sublayer, used, side, *key)
        if hasattr(first.module, "prepare_stream"):  # the layer changes the number of positions
            x = first.module.prepare_stream(first.layer, x, self.step)
        return self.residual_sublayer(sublayer, used, x, *key)

    def residual_sublayer(
        self, sublayer: PlacedSublayer, used: Sequence[PlacedBranch], x: Array, *key: object
    ) -> Array:
        """Add the scaled sum of the branches to the residual stream, applying the sub-layer's norms."""
        part, after = sublayer.part, sublayer.after
        read = self.step.sublayer_inputs[part.input_from] if part.input_from else x
        if part.concat_input:
            read = np.concatenate([read, self.step.first_input], axis=-1)
        self.step.use_index = self.step.use_counts.setdefault(part.name, 0)
        self.step.use_counts[part.name] += 1
        h = self._optional(sublayer.pre, read, *key)
        total = self.branches(used, h, *key)
        x = self.step.sublayer_inputs[part.residual_from] if part.residual_from else x
        self.step.stream = x = h if part.residual_normed else x
        total, x = self._scale_terms(part, self._optional(sublayer.post, total, *key), x)
        if after is not None and hasattr(after.module, "adds_residual") and after.module.adds_residual(after.layer):
            return after.module.add_to_residual(after.layer, after.weights_in(self.tensors), total, x)
        return self._optional(after, x + total if part.residual else total, *key)

    def _scale_terms(self, part: Sublayer, total: Array, x: Array) -> tuple[Array, Array]:
        """Scale a sub-layer's output and residual by their factors."""
        own, other = part.scale, part.residual_scale
        if part.depth_scaled:
            self.step.n_added += 1
            own, other = own * math.sqrt(1 / self.step.n_added), other * math.sqrt(1 - 1 / self.step.n_added)
        return times(total, own), times(x, other)

    def branches(self, branches: Sequence[PlacedBranch], h: Array, *key: object) -> Array:
        """Return the sum of the branch outputs, storing deferred outputs for a later sub-layer."""
        self.step.unnormed = h
        total: Any = None
        for number, branch in enumerate(branches):
            y = self._optional(branch.pre, h, *key, number)
            y = self.layer(branch.layer, y, *key, number)
            y = self._optional(branch.post, y, *key, number)
            if branch.joins:
                self.step.deferred_results.setdefault(branch.joins, []).append(y)
            else:
                total = y if total is None else total + y
        return total

    def _optional(self, norm: PlacedLayer | None, x: Array, *key: object) -> Array:
        return x if norm is None else self.layer(norm, x, *key, "norm")
