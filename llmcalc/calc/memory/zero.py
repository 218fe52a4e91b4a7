"""Per-rank bytes of weights, gradients and optimizer state, before and after ZeRO sharding [rajbhandari2019]."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from ...core.architecture import Architecture
from ...core.ledger import Row, identity
from ..sharding import Mesh
from .number_formats import BITS_A_BYTE
from .optimizer import Recipe, trainable
from .weight_formats import ModelTensors, stored_row

SHARDS_OPTIMIZER, SHARDS_GRADIENTS, SHARDS_WEIGHTS = 1, 2, 3  # first ZeRO stage that shards each

SegmentKey = tuple[str, int | str | None]  # stack name, and index of a run of blocks, "inputs" or "outputs"


class ReplicatedBytes(NamedTuple):
    """Bytes replicated across data-parallel ranks, listed separately for routed experts and all other tensors."""

    dense: int = 0
    expert: int = 0

    def add(self, size: int, is_expert: bool) -> ReplicatedBytes:
        """Return the totals after adding a tensor of ``size`` bytes."""
        return ReplicatedBytes(self.dense, self.expert + size) if is_expert else self._replace(dense=self.dense + size)

    def on_rank(self, mesh: Mesh, stage: int) -> int:
        """Return the bytes on one rank, sharded if the mesh uses ZeRO stage ``stage`` or higher."""
        return self.sharded(mesh) if mesh.zero >= stage else self.dense + self.expert

    def sharded(self, mesh: Mesh) -> int:
        """Return the bytes on one rank after sharding across all replicas."""
        return -(-self.dense // mesh.replicas) + -(-self.expert // mesh.expert_replicas)

    def gathered(self, mesh: Mesh) -> int:
        """Return the bytes of full tensors gathered from shards. Tensors without replicas are not gathered."""
        return (self.dense if mesh.replicas > 1 else 0) + (self.expert if mesh.expert_replicas > 1 else 0)


class SegmentStates(NamedTuple):
    """Weight and gradient bytes of a segment. ``new_gradients`` excludes tied tensors counted in another segment."""

    weights: ReplicatedBytes = ReplicatedBytes()
    gradients: ReplicatedBytes = ReplicatedBytes()
    new_gradients: ReplicatedBytes = ReplicatedBytes()


class ModelStates(NamedTuple):
    """Bytes on one rank before ZeRO sharding.

    ``largest_tensor`` and ``tied_table`` are element counts. ``tied_table`` is 0 if the token table is not tied.
    """

    weights: ReplicatedBytes
    gradients: ReplicatedBytes
    optimizer: ReplicatedBytes
    largest_tensor: int
    tied_table: int


class TensorStates(NamedTuple):
    """A tensor on one rank, with trained elements, weight and optimizer bytes, and frozen weight bits."""

    row: Row
    is_expert: bool
    elements: int
    weight: int
    optimizer: int
    frozen_bits: int


def _tensor_states(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> list[TensorStates]:
    model, frozen = ModelTensors(architecture), recipe.frozen_weights
    if frozen:
        frozen.check(model)
    found = []
    for row in model.rows:
        if not row.tensor.buffer:
            own, is_expert = mesh.share_of_weight(row.tensor, row.declaration, row.size), row.tensor.active is not None
            elements, optimizer = trainable(row, own, recipe)
            unfrozen = (0 if frozen else own) + (elements if recipe.adapters else 0)
            bits = sum(stored.bits for stored in stored_row(row, frozen, model, mesh)) if frozen else 0
            optimizer += elements * recipe.master_weight_bytes
            found.append(TensorStates(row, is_expert, elements, unfrozen * recipe.weight_bytes, optimizer, bits))
    return found


def model_states(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> ModelStates:
    """Return the total bytes of weights, gradients and optimizer states on one rank before ZeRO sharding."""
    weights, gradients, optimizer, frozen = (ReplicatedBytes() for _ in range(4))
    largest = table = 0
    uses = Counter[str]()
    for row, is_expert, elements, weight, states, bits in _tensor_states(architecture, recipe, mesh):
        frozen = frozen.add(bits, is_expert)
        weights = weights.add(weight * row.copies, is_expert)
        gradients = gradients.add(elements * recipe.gradient_bytes * row.copies, is_expert)
        optimizer = optimizer.add(states * row.copies, is_expert)
        largest = max(largest, elements if row.copies else 0)
        if share := row.tensor.share:
            uses[share] += 1
            if uses[share] > 1 and (row.tensor.table == "token" or row.entry.name == "head"):
                table = max(table, elements)
    for bits, is_expert in ((frozen.dense, False), (frozen.expert, True)):
        weights = weights.add(-(-bits // BITS_A_BYTE), is_expert)
    return ModelStates(weights, gradients, optimizer, largest, table)


def segment_states(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> dict[SegmentKey, SegmentStates]:
    """Return the states of each segment. Tied tensors outside the blocks are counted where they are last used."""
    found, seen = dict[SegmentKey, SegmentStates](), set[str]()
    for row, is_expert, elements, weight, _, bits in reversed(_tensor_states(architecture, recipe, mesh)):
        outside, name = row.entry.run is None, identity(row.entry.stack, row.tensor)
        if outside and name in seen:
            continue
        seen |= {name} if name and outside else set()
        weight += -(-bits // (BITS_A_BYTE * max(row.copies, 1)))
        gradient = elements * recipe.gradient_bytes
        key = (row.entry.stack.name, row.entry.section if outside else row.entry.run)
        states, sizes = found.get(key, SegmentStates()), (weight, gradient, gradient if row.copies else 0)
        found[key] = SegmentStates(*(total.add(size, is_expert) for total, size in zip(states, sizes, strict=True)))
    return found


def gathered_weights(weights: ReplicatedBytes, mesh: Mesh) -> int:
    """Return the bytes of full weights that ZeRO-3 gathers from shards, or 0 for lower ZeRO stages."""
    return weights.gathered(mesh) if mesh.zero >= SHARDS_WEIGHTS else 0


def resident_gradients(gradients: ReplicatedBytes, recipe: Recipe, mesh: Mesh) -> int:
    """Return the gradient bytes at the start of a micro-batch. A pipeline accumulates unsharded gradients."""
    if recipe.contiguous_gradient_buffer or (mesh.batches > 1 and mesh.pp == 1):
        return gradients.on_rank(mesh, SHARDS_GRADIENTS)
    return gradients.dense + gradients.expert if mesh.batches > 1 else 0
