"""What one rank holds of weights, gradients and optimizer, in all and block by block, and what ZeRO divides of it."""

from __future__ import annotations

from typing import NamedTuple

from ...core.architecture import Architecture
from ...core.ledger import Row, identity
from ..sharding import Mesh
from .model_states import Recipe
from .number_formats import BITS_A_BYTE
from .optimizer import trained
from .weight_formats import Model, stored_row

Place = tuple[
    str, int | str | None
]  # a stack, and the index of a run of blocks or what stands outside: inputs, outputs


class Held(NamedTuple):
    """Bytes that all ranks hold which hold the same tensors: of experts, and of all else."""

    dense: int = 0
    expert: int = 0

    def plus(self, size: int, expert: bool) -> Held:
        """With one tensor more."""
        return Held(self.dense, self.expert + size) if expert else Held(self.dense + size, self.expert)

    def on(self, mesh: Mesh, divided: bool) -> int:
        """Bytes on one rank; ZeRO divides them over the ranks that hold the same ones."""
        if not divided:
            return self.dense + self.expert
        return -(-self.dense // mesh.replicas) + -(-self.expert // mesh.expert_replicas)

    def whole(self, mesh: Mesh) -> int:
        """Bytes of what is divided, before it is: 0 if one rank holds all of it anyway."""
        return (self.dense if mesh.replicas > 1 else 0) + (self.expert if mesh.expert_replicas > 1 else 0)


class Part(NamedTuple):
    """Bytes of one block, or of what stands outside of the blocks: weights that it is computed with, the gradients that
    its backward pass makes, and those of them that nobody made before.
    """

    weights: Held = Held()
    made: Held = Held()
    gradients: Held = Held()


class Sizes(NamedTuple):
    """Bytes of one rank's weights, gradients and optimizer before ZeRO; elements of its largest tensor, and of a token
    table that is tied (or 0).
    """

    weights: Held
    gradients: Held
    optimizer: Held
    largest: int
    table: int


def sizes(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> Sizes:
    """What one rank holds before ZeRO divides it."""
    weights, gradients, optimizer, frozen = Held(), Held(), Held(), Held()
    largest = table = 0
    uses: dict[str, int] = {}
    model = Model(architecture)
    if recipe.frozen:
        recipe.frozen.check(model)
    for row in model.rows:
        if row.tensor.buffer:
            continue
        own, expert = mesh.share_of_weight(row.tensor, row.declaration, row.size), row.tensor.active is not None
        elements, states = trained(row, own, recipe.states, recipe.adapters)
        bits = sum(found.bits for found in stored_row(row, recipe.frozen, model, mesh)) if recipe.frozen else 0
        kept = (0 if recipe.frozen else own * recipe.weights) + (elements * recipe.weights if recipe.adapters else 0)
        frozen = frozen.plus(bits, expert)
        weights = weights.plus(kept * row.copies, expert)
        gradients = gradients.plus(elements * recipe.gradients * row.copies, expert)
        optimizer = optimizer.plus((elements * recipe.master + states) * row.copies, expert)
        largest = max(largest, elements if row.copies else 0)
        if row.tensor.share:
            uses[row.tensor.share] = uses.get(row.tensor.share, 0) + 1
            if row.tensor.table == "token" or (uses[row.tensor.share] > 1 and row.entry.name == "head"):
                table = max(table, elements if uses[row.tensor.share] > 1 else 0)
    for bits, expert in ((frozen.dense, False), (frozen.expert, True)):
        weights = weights.plus(-(-bits // BITS_A_BYTE), expert)
    return Sizes(weights, gradients, optimizer, largest, table)


def parts(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> dict[Place, Part]:
    """The parts by their places. A tensor that stands outside of the blocks twice is one where it is used last: there
    the backward pass makes its gradient.
    """
    model, found, seen = Model(architecture), dict[Place, Part](), set[str]()
    for row in reversed(model.rows):
        outside, name = row.entry.run is None, identity(row.entry.stack, row.tensor)
        if row.tensor.buffer or (outside and name in seen):
            continue
        seen |= {name} if name and outside else set()
        own, expert = mesh.share_of_weight(row.tensor, row.declaration, row.size), row.tensor.active is not None
        elements, _ = trained(row, own, recipe.states, recipe.adapters)
        size = _computed_with(row, own, elements, recipe, model, mesh)
        gradient = elements * recipe.gradients
        place = (row.entry.stack.name, row.entry.section if outside else row.entry.run)
        part = found.get(place, Part())
        first = gradient if row.copies else 0
        found[place] = Part(
            *(held.plus(more, expert) for held, more in zip(part, (size, gradient, first), strict=True))
        )
    return found


def _computed_with(row: Row, own: int, elements: int, recipe: Recipe, model: Model, mesh: Mesh) -> int:
    """Bytes of one copy of a tensor, its adapter included."""
    if recipe.frozen is None:
        return own * recipe.weights + (elements * recipe.weights if recipe.adapters else 0)
    bits = sum(found.bits for found in stored_row(row, recipe.frozen, model, mesh))
    return elements * recipe.weights + -(-bits // (BITS_A_BYTE * max(row.copies, 1)))
