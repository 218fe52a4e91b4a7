"""ZeRO: per-rank bytes of weights, gradients and optimizer state, before and after sharding [rajbhandari2019]."""

from __future__ import annotations

from typing import NamedTuple

from ...core.architecture import Architecture
from ...core.ledger import Row, identity
from ..sharding import Mesh
from .number_formats import BITS_A_BYTE
from .optimizer import Recipe, trainable
from .weight_formats import ModelTensors, stored_row

SHARDS_OPTIMIZER, SHARDS_GRADIENTS, SHARDS_WEIGHTS = 1, 2, 3  # the first ZeRO stage that does

SegmentKey = tuple[str, int | str | None]  # a stack, and the index of a run of blocks, or "inputs" or "outputs"


class ReplicatedBytes(NamedTuple):
    """Bytes that data-parallel ranks replicate: ``expert`` for routed experts, ``dense`` for everything else."""

    dense: int = 0
    expert: int = 0

    def add(self, size: int, is_expert: bool) -> ReplicatedBytes:
        """Return the sum with one more tensor."""
        return ReplicatedBytes(self.dense, self.expert + size) if is_expert else self._replace(dense=self.dense + size)

    @property
    def unsharded(self) -> int:
        """Bytes on one rank without ZeRO."""
        return self.dense + self.expert

    def sharded(self, mesh: Mesh) -> int:
        """Bytes on one rank when ZeRO shards them over the ranks that replicate them."""
        return -(-self.dense // mesh.replicas) + -(-self.expert // mesh.expert_replicas)

    def gathered(self, mesh: Mesh) -> int:
        """Bytes of the full tensors that are gathered from shards; 0 if one rank holds the only copy."""
        return (self.dense if mesh.replicas > 1 else 0) + (self.expert if mesh.expert_replicas > 1 else 0)


class SegmentStates(NamedTuple):
    """Bytes of one block, or of the layers outside the blocks: weights, gradients that its backward pass computes, and
    those of them that no other use of a tied tensor computes.
    """

    weights: ReplicatedBytes = ReplicatedBytes()
    gradients: ReplicatedBytes = ReplicatedBytes()
    new_gradients: ReplicatedBytes = ReplicatedBytes()


class ModelStates(NamedTuple):
    """Bytes of one rank's weights, gradients and optimizer before ZeRO; elements of its largest tensor, and of its tied
    token table (0: not tied).
    """

    weights: ReplicatedBytes
    gradients: ReplicatedBytes
    optimizer: ReplicatedBytes
    largest_tensor: int
    tied_table: int


def model_states(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> ModelStates:
    """Sum weights, gradients and optimizer states of all tensors on one rank before ZeRO."""
    weights, gradients, optimizer, frozen = (ReplicatedBytes() for _ in range(4))
    largest = table = 0
    uses: dict[str, int] = {}
    model = ModelTensors(architecture)
    if recipe.frozen_weights:
        recipe.frozen_weights.check(model)
    for row in model.rows:
        if row.tensor.buffer:
            continue
        own, is_expert = mesh.share_of_weight(row.tensor, row.declaration, row.size), row.tensor.active is not None
        elements, state_bytes = trainable(row, own, recipe)
        frozen = frozen.add(_frozen_bits(row, recipe, model, mesh), is_expert)
        weight = _unfrozen_bytes(own, elements, recipe)
        weights = weights.add(weight * row.copies, is_expert)
        gradients = gradients.add(elements * recipe.gradient_bytes * row.copies, is_expert)
        optimizer = optimizer.add((elements * recipe.master_weight_bytes + state_bytes) * row.copies, is_expert)
        largest = max(largest, elements if row.copies else 0)
        if row.tensor.share:
            uses[row.tensor.share] = uses.get(row.tensor.share, 0) + 1
            if row.tensor.table == "token" or (uses[row.tensor.share] > 1 and row.entry.name == "head"):
                table = max(table, elements if uses[row.tensor.share] > 1 else 0)
    for bits, is_expert in ((frozen.dense, False), (frozen.expert, True)):
        weights = weights.add(-(-bits // BITS_A_BYTE), is_expert)
    return ModelStates(weights, gradients, optimizer, largest, table)


def segment_states(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> dict[SegmentKey, SegmentStates]:
    """Weights and gradients by segment. A tied tensor outside the blocks belongs to its last use, where the backward
    pass computes its gradient first.
    """
    model, found, seen = ModelTensors(architecture), dict[SegmentKey, SegmentStates](), set[str]()
    for row in reversed(model.rows):
        outside, name = row.entry.run is None, identity(row.entry.stack, row.tensor)
        if row.tensor.buffer or (outside and name in seen):
            continue
        seen |= {name} if name and outside else set()
        own, is_expert = mesh.share_of_weight(row.tensor, row.declaration, row.size), row.tensor.active is not None
        elements, _ = trainable(row, own, recipe)
        bits = _frozen_bits(row, recipe, model, mesh)
        weight = _unfrozen_bytes(own, elements, recipe) + -(-bits // (BITS_A_BYTE * max(row.copies, 1)))
        gradient = elements * recipe.gradient_bytes
        sizes = (weight, gradient, gradient if row.copies else 0)
        key = (row.entry.stack.name, row.entry.section if outside else row.entry.run)
        states = found.get(key, SegmentStates())
        found[key] = SegmentStates(
            *(total.add(size, is_expert) for total, size in zip(states, sizes, strict=True))
        )  # fmt: skip
    return found


def _frozen_bits(row: Row, recipe: Recipe, model: ModelTensors, mesh: Mesh) -> int:
    """Bits of all copies of a weight in a number format of its own."""
    if recipe.frozen_weights is None:
        return 0
    return sum(stored.bits for stored in stored_row(row, recipe.frozen_weights, model, mesh))


def _unfrozen_bytes(own: int, elements: int, recipe: Recipe) -> int:
    """Bytes of one copy of a weight with its adapter, without what ``_frozen_bits`` counts."""
    weight = 0 if recipe.frozen_weights else own * recipe.weight_bytes
    return weight + (elements * recipe.weight_bytes if recipe.adapters else 0)


def gathered_weights(weights: ReplicatedBytes, mesh: Mesh) -> int:
    """Bytes of the full weights that ZeRO-3 gathers from their shards; 0 in lower stages."""
    return weights.gathered(mesh) if mesh.zero >= SHARDS_WEIGHTS else 0


def resident_gradients(gradients: ReplicatedBytes, recipe: Recipe, mesh: Mesh) -> int:
    """Bytes of gradients in memory when a micro-batch begins: a contiguous buffer, or those of earlier micro-batches.

    A pipeline accumulates unsharded gradients until the last micro-batch.
    """
    piped = mesh.pp > 1
    if recipe.contiguous_gradient_buffer or (mesh.batches > 1 and not piped):
        return gradients.sharded(mesh) if mesh.zero >= SHARDS_GRADIENTS else gradients.unsharded
    return gradients.unsharded if mesh.batches > 1 else 0
