"""Per-rank bytes of weights, gradients and optimizer state, before and after ZeRO sharding [rajbhandari2019]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from ...core.amount import Product, Sum, product, scaled
from ...core.architecture import Architecture
from ...core.ledger import Row, identity, model_rows
from ...core.record import NamedTuple
from ...core.traits import ROUTER
from ..params import component
from ..sharding import Mesh
from .number_formats import BITS_A_BYTE
from .optimizer import Recipe, trainable
from .saved_tensors import WIDTH
from .weight_formats import model_tensors, stored_row

FP8_COPIES = 2  # bytes per weight: of a copy and of its transpose
SHARDS_OPTIMIZER, SHARDS_GRADIENTS, SHARDS_WEIGHTS = 1, 2, 3  # first ZeRO stage that shards each

OTHERS, EXPERTS = "replicated tensors", "routed experts"
SegmentKey = tuple[str, int | str | None]  # stack name, and index of a run of blocks, "inputs" or "outputs"


class ReplicatedBytes(NamedTuple):
    """Bytes replicated across data-parallel ranks, listed separately for routed experts and all other tensors."""

    dense: int = 0
    expert: int = 0

    def on_rank(self, mesh: Mesh, stage: int) -> int:
        """Return the bytes on one rank, sharded if the mesh uses ZeRO stage ``stage`` or higher."""
        return self.sharded(mesh) if mesh.zero >= stage else self.total

    @property
    def total(self) -> int:
        """Bytes before sharding."""
        return Sum((OTHERS, self.dense), (EXPERTS, self.expert))

    def sharded(self, mesh: Mesh) -> int:
        """Return the bytes on one rank after sharding across all replicas."""
        shares = scaled(self.dense, 1, mesh.replicas), scaled(self.expert, 1, mesh.expert_replicas)
        return Sum((OTHERS, shares[0]), (EXPERTS, shares[1]))

    def gathered(self, mesh: Mesh) -> int:
        """Return the bytes of full tensors gathered from shards. Tensors without replicas are not gathered."""
        experts = self.expert if mesh.expert_replicas > 1 else 0
        return Sum((OTHERS, self.dense if mesh.replicas > 1 else 0), (EXPERTS, experts))


class Part(NamedTuple):
    """Elements of one component, with their total size in bytes."""

    label: str
    bytes: int
    elements: int
    is_expert: bool


def replicated(parts: Iterable[Part]) -> ReplicatedBytes:
    """Sum the bytes of parts with the same label, separately for routed experts and all other tensors."""
    found: dict[bool, dict[str, tuple[int, int]]] = {False: {}, True: {}}
    for part in parts:
        own = found[part.is_expert]
        size, elements = own.get(part.label, (0, 0))
        own[part.label] = (size + part.bytes if part.label in own else part.bytes), elements + part.elements
    return ReplicatedBytes(*(Sum(*map(_amount, own.items())) for own in found.values()))


def _amount(part: tuple[str, tuple[int, int]]) -> tuple[str, int]:
    label, (size, elements) = part
    if not elements:
        return label, size
    each = size // elements if size % elements == 0 else size / elements
    return label, Product(size, (("n_params", elements), (WIDTH, each)))


class SegmentStates(NamedTuple):
    """Weight and gradient bytes of a segment.

    ``new_gradients`` excludes tied tensors that are counted in another segment.
    """

    weights: ReplicatedBytes = ReplicatedBytes()
    gradients: ReplicatedBytes = ReplicatedBytes()
    new_gradients: ReplicatedBytes = ReplicatedBytes()


class ModelStates(NamedTuple):
    """Weight, gradient and optimizer bytes on one rank before ZeRO sharding.

    ``largest_tensor``, ``tied_table`` and ``largest_quantised`` are element counts. ``tied_table`` is 0 if the token
    table is not tied. ``largest_quantised`` is the largest matrix that a product reads after dequantising it.
    """

    weights: ReplicatedBytes
    gradients: ReplicatedBytes
    optimizer: ReplicatedBytes
    largest_tensor: int
    tied_table: int
    largest_quantised: int = 0


class TensorStates(NamedTuple):
    """Component, trained elements, weight bytes, optimizer bytes and frozen weight bits of one tensor on one rank."""

    row: Row
    name: str
    is_expert: bool
    elements: int
    weight: int
    optimizer: int
    master: int
    frozen_bits: int


def _tensor_states(
    architecture: Architecture, recipe: Recipe, mesh: Mesh, *, distinct: bool = False
) -> list[TensorStates]:
    """Return the states of every tensor, optionally with those of equal blocks listed once."""
    model, frozen = model_tensors(architecture), recipe.frozen_weights
    if frozen:
        frozen.check(model)
    found = []
    for row in model_rows(architecture, distinct=distinct):
        if not row.tensor.buffer:
            own, is_expert = mesh.share_of_weight(row.tensor, row.declaration, row.size), row.tensor.active is not None
            elements, optimizer = trainable(row, own, recipe)
            copy = row if row.copies else row._replace(copies=1)  # a later use of a tied tensor also gathers it
            bits = sum(stored.bits for stored in stored_row(copy, frozen, model, mesh)) if frozen else 0
            master = elements * recipe.master_weight_bytes
            weight = (0 if frozen else own) * recipe.weight_bytes
            if recipe.adapters:
                weight += elements * (recipe.adapters.bytes or recipe.weight_bytes)
            found.append(TensorStates(row, component(row), is_expert, elements, weight, optimizer, master, bits))
    return found


def _is_block_matrix(row: Row) -> bool:
    """Return whether a tensor is a matrix of a trained block, other than that of a router."""
    is_matrix = row.tensor.linear and row.declaration.number_class(row.tensor) != ROUTER
    return is_matrix and row.entry.run is not None and not row.entry.stack.frozen


def model_states(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> ModelStates:
    """Return the total bytes of weights, gradients and optimizer states on one rank before ZeRO sharding."""
    tensors = _tensor_states(architecture, recipe, mesh, distinct=True)
    weights, optimizer = [], []
    largest = table = quantised = 0
    frozen = {False: 0, True: 0}
    uses = Counter[str]()
    for row, name, is_expert, elements, weight, states, master, bits in tensors:
        copies = row.copies
        if recipe.fp8_copies and _is_block_matrix(row):
            own = mesh.share_of_weight(row.tensor, row.declaration, row.size)
            weights.append(Part(f"{name}, FP8 copies", own * copies * FP8_COPIES, own * copies, is_expert))
        frozen[is_expert] += bits if copies else 0
        weights.append(Part(name, weight * copies, weight // recipe.weight_bytes * copies, is_expert))
        optimizer.append(Part(f"{name}, states", states * copies, elements * copies, is_expert))
        optimizer.append(Part(f"{name}, master weights", master * copies, elements * copies, is_expert))
        largest = max(largest, elements if copies else 0)
        if 0 < bits < row.size * max(copies, 1) * BITS_A_BYTE:
            own = mesh.share_of_weight(row.tensor, row.declaration, row.size) // experts_of(row, mesh)
            quantised = max(quantised, own)
        if share := row.tensor.share:
            uses[share] += 1
            if uses[share] > 1 and (row.tensor.table == "token" or row.entry.name == "head"):
                table = max(table, elements)
    weights += [
        Part("frozen weights", scaled(product(("n_bits", bits)), 1, BITS_A_BYTE), 0, kind)
        for kind, bits in frozen.items()
    ]
    gradients = (_gradient(each, recipe, each.row.copies) for each in tensors)
    return ModelStates(replicated(weights), replicated(gradients), replicated(optimizer), largest, table, quantised)


def experts_of(row: Row, mesh: Mesh) -> int:
    """Return the number of experts of one rank that a tensor holds, or 1."""
    if not row.tensor.active:
        return 1
    axis, declaration = row.tensor.active[0], row.declaration
    return int(declaration.axes[axis]) // mesh.divisor(declaration, axis)


def _gradient(each: TensorStates, recipe: Recipe, copies: int) -> Part:
    """Return the gradient size of a tensor that occurs in ``copies`` blocks."""
    elements = each.elements * copies
    return Part(each.name, elements * recipe.gradient_bytes, elements, each.is_expert)


def segment_states(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> dict[SegmentKey, SegmentStates]:
    """Return the states of each segment. A tied tensor outside the blocks is counted where it is last used."""
    found, seen = dict[SegmentKey, tuple[list[Part], ...]](), set[str]()
    for each in reversed(_tensor_states(architecture, recipe, mesh)):
        row = each.row
        outside, name = row.entry.run is None, identity(row.entry.stack, row.tensor)
        if outside and name in seen:
            continue
        seen |= {name} if name and outside else set()
        frozen = -(-each.frozen_bits // (BITS_A_BYTE * max(row.copies, 1)))
        weight = Part(each.name, each.weight + frozen, each.weight // recipe.weight_bytes, each.is_expert)
        new = _gradient(each, recipe, 1 if row.copies else 0)
        key = (row.entry.stack.name, row.entry.section if outside else row.entry.run)
        parts = found.setdefault(key, ([], [], []))
        for own, part in zip(parts, (weight, _gradient(each, recipe, 1), new), strict=True):
            own.append(part)
    return {key: SegmentStates(*map(replicated, parts)) for key, parts in found.items()}


def placeholder_gradients(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> int:
    """Return the bytes of one placeholder gradient of each shape of a matrix in the blocks.

    Matrices with the same input, such as those of queries, keys and values, are one matrix. Experts have separate
    matrices.
    """
    matrices = dict[tuple[tuple[str, ...], tuple[str, ...], int], int]()  # by place, input axes and input width
    for row in model_tensors(architecture).distinct_rows:
        tensor, declaration = row.tensor, row.declaration
        if _is_block_matrix(row):
            own = mesh.share_of_weight(tensor, declaration, row.size) // experts_of(row, mesh)
            inputs = tensor.groups[-2]
            key = row.entry.path + row.part, inputs, prod(int(declaration.axes[axis]) for axis in inputs)
            matrices[key] = matrices.get(key, 0) + own
    shapes = {(width, own) for (_, _, width), own in matrices.items()}
    return product(("n_params", sum(own for _, own in shapes)), (WIDTH, recipe.weight_bytes))


def gathered_weights(weights: ReplicatedBytes, mesh: Mesh) -> int:
    """Return the bytes of full weights that ZeRO-3 gathers from shards, or 0 for lower ZeRO stages."""
    return weights.gathered(mesh) if mesh.zero >= SHARDS_WEIGHTS else 0


def resident_gradients(gradients: ReplicatedBytes, recipe: Recipe, mesh: Mesh) -> int:
    """Return the gradient bytes at the start of a micro-batch. A pipeline accumulates unsharded gradients."""
    if recipe.contiguous_gradient_buffer or (mesh.batches > 1 and mesh.pp == 1):
        return gradients.on_rank(mesh, SHARDS_GRADIENTS)
    return gradients.total if mesh.batches > 1 else 0
