"""Runs of NumPy models on simulated ranks, compared with a run on one rank and with the declared collectives.

Only the divided axes of the weights are taken from the declarations. Which collectives a run requires follows from
the operations of the NumPy model and of its backward pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from ..calc.collectives import ALL_GATHER, ALL_REDUCE, BACKWARD, REDUCE_SCATTER, UPDATE
from ..calc.communication import communication
from ..calc.memory.zero import SHARDS_OPTIMIZER, SHARDS_WEIGHTS
from ..calc.sharding import TENSOR_DIVISIONS, Mesh
from ..core.architecture import Architecture, Stack, declare
from ..core.declaration import Declaration, Tensor
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import NamedTuple, changed
from ..core.workload import Workload
from ..twins.plan import PlacedStack, place_stack
from ..twins.stack import run_stack
from ..twins.step import Step
from ..twins.tape import Tape, Variable
from ..twins.weights import Array
from . import sharded_functions as sharded_functions  # registers the functions of sharded arrays
from .equation_model import generated_models
from .ranks import Ranks
from .sharded_array import ShardedArray, Splits, divide
from .sharded_tape import ShardedTape
from .zero_experts import exclude_zero_experts

Exchanged = dict[tuple[str, str, int, str], int]  # elements by (collective, group, number of ranks, phase)
SPREAD = 0.2
BITS = 64
SMALLEST = 1e-3  # gradients below this size are compared absolutely


class ShardedRun(NamedTuple):
    """Results of a run on simulated ranks.

    Attributes:
        errors: largest relative error of the output and of each gradient, by name.
        exchanged: number of elements of the tensors of all collectives.
        declared: declared number of elements of the tensors of all collectives.
    """

    errors: dict[str, float]
    exchanged: Exchanged
    declared: Exchanged


def sharded_run(stack: Stack, mesh: Mesh, batch: int = 2, seq: int = 6) -> ShardedRun:
    """Run a training step of a stack on one rank and on the ranks of a mesh.

    A stack without inputs reads random vectors.
    """
    architecture = Architecture("sharded", (stack,))
    declared = declared_sizes(architecture, mesh, batch, seq)
    placed = place_stack(stack, generated_models(architecture))
    rng = np.random.default_rng(0)
    weights: dict[str, Array] = {}
    for layer in placed.layers():
        for weight in layer.weights:
            weights.setdefault(layer.names[weight.name], weight.random(rng, SPREAD))
    exclude_zero_experts(placed.layers(), weights)
    ranks = ranks_of(architecture, mesh, seq)
    n_sequences = batch * mesh.dp
    x = None if stack.inputs else rng.standard_normal((n_sequences, seq, stack.d_model))
    ids = rng.integers(0, placed.vocab or 1, (n_sequences, seq))
    whole = _train(placed, Tape(), weights, x, ids, rng=np.random.default_rng(1))

    divided = divide_weights([placed], mesh, ranks, weights)
    over = data_splits(ranks) | {axis: 1 for axis in ranks.sizes if ranks.groups[axis] == "tp" and mesh.sp}
    data = None if x is None else divide(x, ranks, {axis: over[axis] for axis in ranks.sizes if axis in over})
    found = _train(placed, ShardedTape(ranks), divided, data, ids, rng=np.random.default_rng(1))

    errors = {name: relative_error(found[name].whole(), array) for name, array in whole.items()}
    buffers = {layer.names[weight.name] for layer in placed.layers() for weight in layer.weights if weight.buffer}
    reduce_unused(ranks, mesh, [divided[name] for name in divided.keys() - found.keys() - buffers])
    return ShardedRun(errors, exchanged_sizes(ranks), declared)


def data_splits(ranks: Ranks) -> Splits:
    """Return the dimensions [b q] of the data that data- and context-parallel ranks divide."""
    return {axis: int(group == "cp") for axis, group in ranks.groups.items() if group != "tp"}


def reduce_unused(ranks: Ranks, mesh: Mesh, weights: list[ShardedArray]) -> None:
    """Count the reduction of the gradients of unused weights, which are zeros, and the exchange of updated shards."""
    kinds = [REDUCE_SCATTER if mesh.zero >= SHARDS_OPTIMIZER else ALL_REDUCE]
    kinds += [ALL_GATHER] if SHARDS_OPTIMIZER <= mesh.zero < SHARDS_WEIGHTS else []
    for kind in kinds if mesh.replicas > 1 else ():
        ranks.exchanged[kind, "dp", mesh.replicas, UPDATE] += sum(weight.parts[0].size for weight in weights)


def _train(
    placed: PlacedStack, tape: Tape, weights: dict[str, Array], x: Any, ids: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """Return the output of a stack, the gradient of its input, and the gradients of its weights, by name."""
    variables = {name: tape.variable(array) for name, array in weights.items()}
    step = Step(ids, data=None if x is None else tape.variable(x))
    y: Any = run_stack(placed, variables, step, None, "all")
    leaves = {"x": step.data, **variables} if step.data is not None else variables
    return backward(placed.stack, tape, y, leaves, ids, rng)


def backward(
    stack: Stack, tape: Tape, y: Any, leaves: dict[str, Any], ids: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """Run a backward pass, and return the output and the gradients of the leaves. A stack without a head has a random
    gradient.
    """
    has_logits = any(declare(layer).logits for _, layer in stack.outputs)
    gradient = loss_gradient(y.value, ids) if has_logits else rng.standard_normal(y.shape)
    ranks, weights = getattr(y.value, "ranks", None), getattr(tape, "weights", None)
    if ranks is not None:
        y.value.reduce(y.value.partial)
        gradient = gradient if has_logits else divide(gradient, ranks, y.value.splits)
        ranks.start(BACKWARD)
        if weights:
            weights.enter(())  # the last block ends
    tape.backward(y, gradient)
    found = {"output": y.value}
    for name, leaf in leaves.items():
        if leaf.gradient is not None:
            if ranks is not None and name != "x":
                ranks.start(UPDATE)
                leaf.gradient = _share_of_gradient(leaf)
                if weights:
                    leaf.gradient = weights.scattered_gradient(name, leaf.gradient)
                leaf.gradient.reduce(leaf.gradient.partial)
            found[name] = tape.complete_gradient(leaf)
    return found


def _share_of_gradient(leaf: Variable) -> ShardedArray:
    """Return the gradient of a weight if each rank keeps only its own share, such as rows of a table."""
    gradient: Any = leaf.gradient
    value: Any = leaf.value
    known = gradient.splits.keys() | gradient.partial | gradient.owners.keys()
    share: ShardedArray = gradient.narrowed({axis: dim for axis, dim in value.splits.items() if axis not in known})
    return share


def loss_gradient(logits: Array, targets: Array) -> Array:
    """Compute the gradient of the cross-entropy with respect to logits [b q V], which can be divided along V."""
    b, q, vocab = logits.shape
    e = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    share = e / np.sum(e, axis=-1, keepdims=True)
    is_target = np.asarray(targets)[..., None] == np.arange(vocab)
    np.asarray(np.sum(logits * is_target, axis=-1))
    return (share - is_target) * (1 / (b * q))


def relative_error(found: Array, expected: Array) -> float:
    """Return the largest error of an array, relative to the largest element unless all elements are small."""
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), SMALLEST))


def exchanged_sizes(ranks: Ranks) -> Exchanged:
    """Return the number of exchanged elements."""
    return {key: int(elements) for key, elements in ranks.exchanged.items()}


def declared_sizes(architecture: Architecture, mesh: Mesh, batch: int, seq: int) -> Exchanged:
    """Return the declared number of elements of all collectives of a training step."""
    found = communication(architecture, Workload(batch=batch, seq=seq, mode="train"), mesh, BITS, BITS)
    sizes = Counter[tuple[str, str, int, str]]()
    for each in found.collectives:
        if each.ranks > 1:
            group = "tp" if each.group == "etp" else each.group  # the ranks of an expert are tensor-parallel ranks
            sizes[each.kind, group, each.ranks, each.phase] += each.elements(**found.values) // each.shards
    return dict(sizes)


# ------------------------------------------------------------------ placement of the weights


def divisible(layer: Layer, mesh: Mesh) -> Layer:
    """Return a layer of which a mesh can divide all axes. Sizes are multiplied by the number of ranks."""
    for _, declaration in declare(layer).walk():
        for axis, size in declaration.axes.items():
            division = declaration.division(axis)
            ranks = mesh.tp if division in TENSOR_DIVISIONS else mesh.ep if division == "expert" else 1
            if isinstance(size, str) or size % ranks == 0 or (division == "replicated" and ranks % size == 0):
                continue
            if larger := _multiplied(layer, size, ranks, declaration.name_of(axis)):
                return divisible(_with_multiples(layer, larger, ranks), mesh)
    return layer


def _with_multiples(layer: Layer, larger: dict[str, Any], ranks: int) -> Layer:
    """Return a layer with larger sizes. Sizes of which they must be divisors are multiplied by the number of ranks."""
    try:
        return changed(layer, **larger)
    except SizeError as error:
        if not error.divides or error.divides in larger:
            raise
        return _with_multiples(layer, {**larger, error.divides: getattr(layer, error.divides) * ranks}, ranks)


def _multiplied(part: Part, size: int, ranks: int, name: str, fields: Collection[str] = ()) -> dict[str, Any]:
    """Return the change that multiplies a size of a layer or of its parts, preferably of the field ``name``.

    A size of a part in a field that the layer also has, such as the heads of an indexer, stays equal to that of the
    layer. Only sizes in ``fields`` are multiplied, if given.
    """
    sizes = [field for field, value in vars(part).items() if type(value) is int and value == size]
    own = [field for field in sizes if not fields or field in fields]
    inner = [(field, value) for field, value in vars(part).items() if isinstance(value, Part)]
    if own:
        equal = {field: _multiplied(value, size, ranks, name, [*vars(part)]) for field, value in inner}
        parts = {field: changed(value, **equal[field]) for field, value in inner if equal[field]}
        return {name if name in own else own[0]: size * ranks, **parts}
    changes = ((field, value, _multiplied(value, size, ranks, name, fields)) for field, value in inner)
    return next(({field: changed(value, **found)} for field, value, found in changes if found), {})


def group_length(layer: Any) -> int:
    """Return the number of tokens that share a summary or a key of an indexer."""
    return getattr(layer, "rate", None) or getattr(getattr(layer, "indexer", None), "compressed", None) or 1


def ranks_of(architecture: Architecture, mesh: Mesh, seq: int) -> Ranks:
    """Return the ranks of a mesh. Tensor parallelism has several axes if some weights have fewer shards than ranks."""
    shards = {1, mesh.tp, min(mesh.tp, mesh.expert_tp)}
    for declaration, tensor in (each for stack in architecture.stacks for each in _tensors(stack)):
        shards |= set(_shards(declaration, tensor, mesh).values())
    n_within = min(mesh.ep, max(mesh.tp // mesh.expert_tp, 1))  # tensor-parallel ranks that have different experts
    n_across = mesh.ep // n_within
    sizes = {"dp": mesh.dp // n_across, "ep": n_across, "cp": mesh.cp}
    axes = {axis: (axis, size) for axis, size in sizes.items() if size > 1}
    before = 1
    for count in sorted(shards - {1}):
        axes[f"tp{count}"] = "tp", count // before
        before = count
    within = [axis for axis in axes if axis.startswith("tp") and int(axis[2:]) > mesh.expert_tp] * (n_within > 1)
    return Ranks(axes, seq if mesh.sp else 0, [*(["ep"] if "ep" in axes else []), *within])


def _tensors(stack: Stack) -> Iterator[tuple[Declaration, Tensor]]:
    for layers in (stack.inputs, stack.outputs, *(s.layers() for run in stack.runs for s in run.block.sublayers)):
        for _, layer in layers:
            for _, declaration in declare(layer).walk():
                yield from ((declaration, tensor) for tensor in declaration.tensors)


def _shards(declaration: Declaration, tensor: Tensor, mesh: Mesh) -> dict[int, int]:
    """Return the number of tensor-parallel shards of each divided dimension of a tensor."""
    divided = {dim: axis for dim, axis in enumerate(tensor.axes) if declaration.division(axis) in TENSOR_DIVISIONS}
    counts = {dim: mesh.divisor(declaration, axis, tensor.active is not None) for dim, axis in divided.items()}
    return {dim: count for dim, count in counts.items() if count > 1}


def weight_splits(placed: PlacedStack, mesh: Mesh, ranks: Ranks) -> dict[str, tuple[list[int], Splits]]:
    """Return the declared shape of each weight and its divided dimensions, by name."""
    found = {}
    for layer in placed.layers():
        for path, declaration in declare(layer.layer).walk():
            for tensor in declaration.tensors:
                shape = [int(declaration.axes[axis]) for axis in tensor.axes]
                splits: Splits = {}
                for dim, count in _shards(declaration, tensor, mesh).items():
                    splits |= {axis: dim for axis in ranks.sizes if axis.startswith("tp") and int(axis[2:]) <= count}
                splits |= dict.fromkeys(ranks.experts if tensor.active else (), 0)
                found[layer.names[".".join((*path, tensor.name))]] = shape, splits
    return found


def divide_weights(
    stacks: list[PlacedStack], mesh: Mesh, ranks: Ranks, weights: dict[str, Array]
) -> dict[str, ShardedArray]:
    """Divide the weights of stacks over ranks along the declared axes."""
    splits = {name: found for placed in stacks for name, found in weight_splits(placed, mesh, ranks).items()}
    whole = {name: divide(array, ranks, {}, True) for name, array in weights.items()}
    return {
        name: array.reshape(*splits[name][0]).narrowed(splits[name][1]).reshape(*array.shape)
        for name, array in whole.items()
    }
