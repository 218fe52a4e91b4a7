"""What training stores per parameter: weights, gradients, a master copy and optimizer states; low-rank adapters."""

from __future__ import annotations

from typing import NamedTuple

from ...core.ledger import Row
from ...core.record import record
from .number_formats import shape
from .weight_formats import RequestedFormats

SCALE_BYTES = 4  # one fp32 maximum per block of quantised states


@record
class StateRule:
    """One state of an optimizer.

    Attributes:
        of: ``all`` tensors, ``matrices`` (weights that are multiplied with an input) or ``others``.
        factored: whether a matrix stores row and column sums instead of every element (Adafactor).
        block: elements that share a maximum (8-bit states), or 0.
    """

    bytes: int
    of: str = "all"
    factored: bool = False
    block: int = 0

    def bytes_of(self, row: Row, elements: int) -> int:
        """Bytes for one copy of a tensor, of which a rank holds ``elements``."""
        if (self.of == "matrices" and not row.tensor.linear) or (self.of == "others" and row.tensor.linear):
            return 0
        if self.factored and len(row.tensor.groups) > 1:
            copies, rows, columns = shape(row)
            total = copies * rows * columns
            return -(-copies * (rows + columns) * elements * self.bytes // total)
        scales = -(-elements // self.block) * SCALE_BYTES if self.block else 0
        return elements * self.bytes + scales


@record
class Adapters:
    """Low-rank adapters [hu2021]: the target matrices get a product ``x a b``, everything else is frozen."""

    rank: int
    targets: tuple[str, ...]

    def elements(self, row: Row) -> int:
        """Elements of a tensor's adapter: ``rank · (in + out)``."""
        if not row.tensor.linear or row.tensor.name not in self.targets or row.tensor.active:
            return 0
        copies, rows, columns = shape(row)
        return copies * self.rank * (rows + columns)


@record
class Recipe:
    """Number formats and optimizer of a training run.

    Attributes:
        weight_bytes: bytes of a weight in the forward pass.
        gradient_bytes: bytes of an accumulated gradient.
        master_weight_bytes: bytes of the higher-precision copy that the optimizer updates, or 0.
        n_temporaries: copies of the largest tensor that an optimizer step allocates.
        contiguous_gradient_buffer: whether one buffer holds all gradients throughout the step (Megatron-LM's
            distributed data parallel), instead of allocating them in the backward pass (PyTorch).
        frozen_weights: formats of the weights under adapters (None: ``weight_bytes`` each).
    """

    name: str
    weight_bytes: int
    gradient_bytes: int
    master_weight_bytes: int
    states: tuple[StateRule, ...]
    n_temporaries: int = 0
    contiguous_gradient_buffer: bool = False
    adapters: Adapters | None = None
    frozen_weights: RequestedFormats | None = None


class Trainable(NamedTuple):
    """The trainable part of one copy of a tensor on one rank: elements, and bytes of their optimizer states."""

    elements: int
    state_bytes: int


def trainable(row: Row, own: int, recipe: Recipe) -> Trainable:
    """Return what is trained of a tensor: all ``own`` elements, only its adapter, or nothing in a frozen stack."""
    if row.entry.stack.frozen:
        return Trainable(0, 0)
    if recipe.adapters is None:
        return Trainable(own, sum(rule.bytes_of(row, own) for rule in recipe.states))
    elements = recipe.adapters.elements(row)
    return Trainable(elements, sum(rule.bytes * elements for rule in recipe.states))
