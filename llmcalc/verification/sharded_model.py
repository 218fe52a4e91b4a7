"""Runs of whole models on simulated ranks, for layers that read more than the residual stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import lcm
from typing import Any

import numpy as np

from ..calc.memory.zero import SHARDS_OPTIMIZER, SHARDS_WEIGHTS
from ..calc.sharding import Mesh
from ..core.architecture import Architecture, Stack
from ..core.layer_history import change_named, change_sublayer
from ..core.ledger import entries
from ..core.shrink import SEQ, shrink
from ..twins.model import Model
from ..twins.plan import PlacedLayer, PlacedStack, PlacedSublayer
from ..twins.step import State, Step
from ..twins.tape import Tape
from ..twins.weights import Array, Weights
from .ranks import Ranks
from .sharded_indexing import DividedIds
from .sharded_run import (
    ShardedRun,
    backward,
    data_splits,
    declared_sizes,
    divide_weights,
    divisible,
    exchanged_sizes,
    group_length,
    ranks_of,
    reduce_unused,
    relative_error,
)
from .sharded_tape import ShardedTape
from .sharded_weights import ShardedWeights
from .zero_experts import exclude_zero_experts

FIRST_ID = 3  # smaller ids often mean padding


def sharded_model_run(architecture: Architecture, mesh: Mesh) -> ShardedRun:
    """Run a training step of a small version of a text model on one rank and on the ranks of a mesh.

    Towers are omitted. Sizes that the mesh does not divide are multiplied by the number of ranks.
    """
    text = replace(architecture, stacks=tuple(stack for stack in architecture.stacks if stack.role != "tower"))
    small = shrink(text, mesh.tp)
    small = replace(small, stacks=tuple(_divisible_stack(stack, mesh) for stack in small.stacks))
    seq = _length(small, mesh)
    declared = declared_sizes(small, mesh, 1, seq)
    model = Model(small)
    exclude_zero_experts((layer for stack in model.stacks for layer in stack.layers()), model.tensors)
    vocab = min(stack.vocab for stack in model.stacks if not stack.takes_handover)
    inputs = np.random.default_rng(0).integers(FIRST_ID, vocab, (1 + small.is_encoder_decoder, mesh.dp, seq))
    whole = _train(model, Tape(), inputs)
    ranks = ranks_of(small, mesh, seq)
    divided = divide_weights(model.stacks, mesh, ranks, model.tensors)
    stored = {name: divided[name] for name in model.parameters}
    is_stored, before = mesh.zero >= SHARDS_WEIGHTS, model.tensors
    weights = ShardedWeights(ranks, stored, _tied(model), is_stored) if mesh.zero >= SHARDS_OPTIMIZER else None
    model.tensors = {**divided, **(weights.without_values() if weights and is_stored else {})}
    tape = ShardedTape(ranks, weights)
    model.stacks = list(map(_ScopedStacks(ranks, weights).stack, model.stacks))
    found = _train(model, tape, DividedIds.of(inputs, data_splits(ranks)))
    reduce_unused(
        ranks, mesh, [array for name, array in divided.items() if name in model.parameters and name not in found]
    )
    errors = {name: relative_error(found[name].whole(), array) for name, array in whole.items()}
    if weights:
        for name in stored.keys() & whole.keys():
            updated: Any = weights.updated(name, found[name]).whole()
            errors[f"updated {name}"] = relative_error(before[name] - updated, whole[name])
    return ShardedRun(errors, exchanged_sizes(ranks), declared)


def _length(small: Architecture, mesh: Mesh) -> int:
    """Return a number of tokens that gives each rank whole groups, and at least as many tokens as other tests have."""
    sends_shares = 1 < mesh.tp // mesh.expert_tp < mesh.ep  # ranks with the same tokens send a share of them to experts
    multiple = mesh.cp * (mesh.tp if mesh.sp or sends_shares else 1)
    if multiple > 1:
        multiple *= lcm(*(group_length(entry.layer) for entry in entries(small)))
    return -(-SEQ // multiple) * multiple


def _tied(model: Model) -> set[str]:
    """Return the names of tensors that several layers share. A sub-layer that runs several times has its own ones."""
    sublayers = (sublayer for stack in model.stacks for block in stack.blocks for sublayer in block)
    layers = [layer for sublayer in sublayers if not sublayer.part.share for layer in sublayer.layers()]
    return {layer.names[weight.name] for layer in layers for weight in layer.weights if weight.share}


class _ScopedStacks:
    """Stacks whose layers tell the ranks in which sub-layer they run, and gather their weights."""

    def __init__(self, ranks: Ranks, weights: ShardedWeights | None) -> None:
        self.ranks, self.weights = ranks, weights
        self.use, self.last = 0, ("", -1, -1)

    def stack(self, placed: PlacedStack) -> PlacedStack:
        """Return a stack with such layers."""
        blocks = tuple(tuple(map(self._sublayer, block)) for block in placed.blocks)
        inputs, outputs = (tuple(map(self._layer, layers)) for layers in (placed.inputs, placed.outputs))
        return replace(placed, inputs=inputs, blocks=blocks, outputs=outputs)

    def enter(self, placed: PlacedLayer) -> None:
        """Enter the sub-layer of a layer. A sub-layer before the last one begins another use of the block."""
        place = placed.stack.name, placed.number, placed.sublayer
        self.use += place[:2] != self.last[:2] or place[2] < self.last[2]
        self.last = place
        unit = (*place[:2], self.use) if placed.sublayer_name else ()
        self.ranks.scope = *unit, placed.sublayer_name or placed.branch
        if self.weights:
            self.weights.enter(unit)

    def _sublayer(self, placed: PlacedSublayer) -> PlacedSublayer:
        branches = tuple(
            replace(each, pre=self._optional(each.pre), layer=self._layer(each.layer), post=self._optional(each.post))
            for each in placed.branches
        )
        pre, post, after = map(self._optional, (placed.pre, placed.post, placed.after))
        return replace(placed, pre=pre, branches=branches, post=post, after=after)

    def _optional(self, placed: PlacedLayer | None) -> PlacedLayer | None:
        return placed and self._layer(placed)

    def _layer(self, placed: PlacedLayer) -> PlacedLayer:
        module = placed.module if placed.sublayer_name else _OuterModule(placed.module)
        return _ScopedLayer(**{**vars(placed), "module": module}, stacks=self)


@dataclass(frozen=True)
class _ScopedLayer(PlacedLayer):
    """A layer that enters its sub-layer before it uses its weights."""

    stacks: _ScopedStacks

    def weights_in(self, tensors: Mapping[str, Any]) -> Weights:
        """Return the weights of the layer."""
        self.stacks.enter(self)
        weights = self.stacks.weights
        found = {name: tensors[full] for name, full in self.names.items()}
        if weights:
            found = {name: weights.gather(self.names[name], each) for name, each in found.items()}
        return Weights(found)


class _OuterModule:
    """Module of a layer before or after the blocks. Tables reduce their own rows."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def forward(self, layer: Any, w: Weights, x: Any, step: Step, state: State | None) -> Any:
        """Run the layer."""
        y = self.module.forward(layer, w, x, step, state)
        value = getattr(y, "value", y)
        value.reduce(value.partial)
        return y


def _divisible_stack(stack: Stack, mesh: Mesh) -> Stack:
    change, runs = partial(divisible, mesh=mesh), []
    for run in stack.runs:
        sublayers = tuple(change_sublayer(sublayer, change) for sublayer in run.block.sublayers)
        runs.append(replace(run, block=replace(run.block, sublayers=sublayers)))
    inputs, outputs = change_named(stack.inputs, change), change_named(stack.outputs, change)
    return replace(stack, inputs=inputs, runs=tuple(runs), outputs=outputs)


def _train(model: Model, tape: Tape, inputs: Array) -> dict[str, Array]:
    with tape.parameters_of(model) as leaves:
        y: Any = model.forward(*inputs)
        return backward(model.architecture.main, tape, y, leaves, inputs[-1], np.random.default_rng(1))
