"""Weights as an engine loads them: with the padding of its kernels and the tables of rotary positions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from math import prod

from ...calc.memory.inference import InferenceMemory
from ...calc.memory.number_formats import BITS_A_BYTE
from ...calc.memory.weight_formats import TABLES
from ...calc.params import component
from ...calc.sharding import TENSOR_DIVISIONS, Mesh
from ...core.amount import group_by
from ...core.architecture import Architecture
from ...core.ledger import Row, model_rows
from ...core.record import remembered
from ...core.traits import HEAD
from ...engines.profile import Padding
from .cache import round_up

SEGMENT, LEAST_SEGMENT, LEAST_REST = 2 * 2**20, 10 * 2**20, 2**20  # bytes, of PyTorch's caching allocator


def padded_weights(memory: InferenceMemory, paddings: Mapping[str, Padding]) -> int:
    """Return the bytes of the weights of a rank, including the padding of expert matrices."""
    growth = {name: _growth(memory, padding) for name, padding in paddings.items()}
    total = 0
    for stored in memory.stored:
        padding, extra = paddings.get(stored.format.name), growth.get(stored.format.name, 0.0)
        if padding and extra and stored.component == "routed experts":
            values = stored.bits // stored.elements * stored.elements  # without the scales of blocks
            total += round((stored.bits if padding.scales else values) * extra)
        total += stored.bits
    return -(-total // BITS_A_BYTE)


def allocator_rounding(memory: InferenceMemory) -> int:
    """Return the bytes that PyTorch's allocator adds to large matrices. The rest of a segment is too small to split."""
    rests = ((round_up(size, SEGMENT) - size, copies) for size, copies in _matrices(memory) if size > LEAST_SEGMENT)
    return sum(rest * copies for rest, copies in rests if rest <= LEAST_REST)


def largest_matrix(memory: InferenceMemory) -> int:
    """Return the bytes of the largest matrix of a rank."""
    return max((size for size, _ in _matrices(memory)), default=0)


def layer_weights(memory: InferenceMemory) -> int:
    """Return the bytes of the weights of all layers of a rank, without the vocabulary tables."""
    sizes = memory.weights_by_component
    return sum(size for component, size in sizes.items() if component not in (*TABLES, HEAD))


def _matrices(memory: InferenceMemory) -> list[list[int]]:
    """Return the bytes and copies of matrices. Engines store those of a layer that have the same input as one."""
    return remembered(memory, "_matrices", None, lambda: _sized_matrices(memory))


def _sized_matrices(memory: InferenceMemory) -> list[list[int]]:
    sizes, elements = defaultdict[str, int](int), defaultdict[str, int](int)
    for stored in memory.stored:
        sizes[stored.component] += stored.bits
        elements[stored.component] += stored.elements
    found, share_of = [], memory.mesh.share_of_weight
    for fused, times in _fused_rows(memory.architecture):
        kept = [(row, part) for row, part in fused if elements[part]]
        parts = [
            share_of(row.tensor, row.declaration, row.size) * sizes[part] // (elements[part] * BITS_A_BYTE)
            for row, part in kept
        ]
        found += [[sum(parts), kept[0][0].copies * times]] if kept else []
    return found


def _fused_rows(architecture: Architecture) -> list[tuple[list[tuple[Row, str]], int]]:
    """Return the matrices of a layer that have the same input, with their components, and the number of equal layers.

    They are found once for all layouts.
    """

    def compute() -> list[tuple[list[tuple[Row, str]], int]]:
        places: dict[tuple[object, ...], list[tuple[Row, str]]] = {}
        for row in model_rows(architecture):
            if row.copies and row.tensor.linear:
                place = (row.entry.path, row.entry.number, row.part, row.tensor.groups[-2], row.tensor.active)
                places.setdefault(place, []).append((row, component(row)))
        found: dict[tuple[object, ...], tuple[list[tuple[Row, str]], int]] = {}
        for fused in places.values():
            key = tuple((id(row.declaration), id(row.tensor), part, row.copies) for row, part in fused)
            found[key] = fused, found.get(key, (fused, 0))[1] + 1
        return [*found.values()]

    return remembered(architecture, "_fused_rows", None, compute)


def expert_buffers(architecture: Architecture, mesh: Mesh, fused: tuple[str, ...]) -> int:
    """Return the activations per token of the routed experts of a layer. Kernels of ``fused`` formats need none.

    The results of the matrices that read the same tensor share one buffer with those of the last matrix. The gated
    activations that the last matrix reads have another one.
    """
    if architecture.inputs.get("quantization", {}).get("quant_method") in fused:
        return 0
    routed = (row for row in model_rows(architecture, distinct=True) if row.tensor.active and row.tensor.linear)
    matrices = group_by(routed, lambda row: (row.entry.path, row.entry.number, row.part))
    return max((_expert_buffers(own, mesh) for own in matrices.values()), default=0)


def _expert_buffers(matrices: list[Row], mesh: Mesh) -> int:
    results, last = Counter[tuple[str, ...]](), matrices[-1]
    for row in matrices:
        results[row.tensor.groups[-2]] += length_on_rank(row, mesh, row.tensor.groups[-1])
    used = int(last.declaration.axes[last.tensor.active[1]]) if last.tensor.active else 1
    return used * (max(results.values()) + length_on_rank(last, mesh, last.tensor.groups[-2]))


def _growth(memory: InferenceMemory, padding: Padding) -> float:
    """Return the padded elements of all expert matrices, relative to their elements."""
    own = padded = 0
    for row in model_rows(memory.architecture, distinct=True):
        if row.tensor.active is None or not row.tensor.linear:
            continue
        n_inputs, n_outputs = (length_on_rank(row, memory.mesh, group) for group in row.tensor.groups[-2:])
        own += n_inputs * n_outputs * row.copies
        padded += round_up(n_inputs, padding.input) * round_up(n_outputs, padding.output) * row.copies
    return padded / own - 1 if own else 0.0


def length_on_rank(row: Row, mesh: Mesh, group: tuple[str, ...]) -> int:
    """Return the length of a dimension on one rank."""
    axes = {axis: int(row.declaration.axes[axis]) for axis in group}
    divided = [axis for axis in axes if row.declaration.division(axis) in TENSOR_DIVISIONS]
    ranks = max((mesh.divisor(row.declaration, axis, True) for axis in divided), default=1)
    return -(-prod(axes.values()) // ranks)
