"""Runs of whole models on simulated ranks, for layers that read more than the residual stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..calc.sharding import Mesh
from ..core.architecture import Architecture, Named, Stack
from ..core.shrink import SEQ
from ..twins.model import Model
from ..twins.tape import Tape
from ..twins.weights import Array
from .sharded_run import (
    ShardedRun,
    ShardedTape,
    backward,
    declared_sizes,
    divide_weights,
    divisible,
    exchanged_sizes,
    ranks_of,
    relative_error,
)
from .zero_experts import exclude_zero_experts

FIRST_ID = 3  # smaller ids often mean padding


def sharded_model_run(small: Architecture, mesh: Mesh) -> ShardedRun:
    """Run a training step of a text model on one rank and on tensor-parallel ranks.

    Towers are omitted. Sizes that the mesh does not divide are multiplied by the number of ranks.
    """
    text = replace(small, stacks=tuple(stack for stack in small.stacks if stack.role != "tower"))
    architecture = replace(text, stacks=tuple(_divisible_stack(stack, mesh) for stack in text.stacks))
    model = Model(architecture)
    exclude_zero_experts((layer for stack in model.stacks for layer in stack.layers()), model.tensors)
    vocab = min(stack.vocab for stack in model.stacks if not stack.takes_handover)
    inputs = np.random.default_rng(0).integers(FIRST_ID, vocab, (1 + architecture.is_encoder_decoder, 1, SEQ))
    whole = _train(model, Tape(), inputs)
    ranks = ranks_of(architecture, mesh, SEQ)
    model.tensors = dict(divide_weights(model.stacks, mesh, ranks, model.tensors))
    found = _train(model, ShardedTape(), inputs)
    errors = {name: relative_error(found[name].whole(), array) for name, array in whole.items()}
    return ShardedRun(errors, exchanged_sizes(ranks), declared_sizes(architecture, mesh, 1, SEQ))


def _divisible_stack(stack: Stack, mesh: Mesh) -> Stack:
    def named(layers: tuple[Named, ...]) -> tuple[Named, ...]:
        return tuple(Named(name, divisible(layer, mesh)) for name, layer in layers)

    runs = []
    for run in stack.runs:
        sublayers = []
        for sublayer in run.block.sublayers:
            branches = (replace(branch, layer=divisible(branch.layer, mesh)) for branch in sublayer.branches)
            sublayers.append(replace(sublayer, branches=tuple(branches)))
        runs.append(replace(run, block=replace(run.block, sublayers=tuple(sublayers))))
    return replace(stack, inputs=named(stack.inputs), runs=tuple(runs), outputs=named(stack.outputs))


def _train(model: Model, tape: Tape, inputs: Array) -> dict[str, Array]:
    with tape.parameters_of(model) as leaves:
        y: Any = model.forward(*inputs)
        return backward(model.architecture.main, tape, y, leaves, inputs[-1], np.random.default_rng(1))
