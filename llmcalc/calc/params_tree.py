"""Derivation of parameter counts as a tree."""

from __future__ import annotations

from ..core.amount import group_by
from ..core.ledger import Row, active_elements
from ..core.tree import Node, Place, product_texts, tree
from ..core.type_names import TYPE_CHECKING

if TYPE_CHECKING:
    from .params import Params


def params_tree(result: Params, active: bool = False) -> Node:
    """Return a tree of stacks, sections, sub-layers and tensors. Routed experts that a token does not use are left out
    if ``active``.
    """

    def key(row: Row) -> tuple[Place, str, int]:  # the same for equal tensors of all blocks with the same name
        layer = ".".join((row.entry.name, *row.part))
        place = (row.entry.stack.name, row.entry.section, (0, row.entry.sublayer), layer)
        return place, row.tensor.name, row.size

    tensors = group_by((row for row in result.rows if not row.tensor.buffer), key)
    leaves = ((place, _leaf(same, active)) for (place, *_), same in tensors.items())
    return tree(result.architecture.name, result.architecture.stacks, leaves, "params")


def _leaf(same: list[Row], active: bool) -> Node:
    """Return one tree node for the copies of a tensor in all blocks with the same name."""
    row, copies = same[0], sum(row.copies for row in same)
    axes, size, note = row.tensor.axes, row.size, ""
    if active and row.tensor.active:
        whole, used = row.tensor.active
        axes = tuple(used if axis == whole else axis for axis in axes)
        size = active_elements(row.tensor, row.declaration)
    factors = [(row.declaration.name_of(axis), int(row.declaration.axes[axis])) for axis in axes]
    if copies == 0:
        note = f"shared ({(row.tensor.share or '').lstrip('.')}): counted where it first appears"
        factors = [("0", 0)]
    elif copies > 1:
        factors = [("n_blocks", copies), *factors]
    elif row.entry.applied > 1:
        note = f"one tensor, used {row.entry.applied} times"
    if row.tensor.unused:
        note = "stored, but never used"
    return Node(row.tensor.name, size * copies, "params", *product_texts(factors), note=note)
