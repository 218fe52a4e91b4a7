"""What an optimizer keeps for a tensor, and which parameters are trained at all."""

from __future__ import annotations

from typing import NamedTuple

from ...core.ledger import Row
from ...core.record import record
from .number_formats import shape

SCALE_BYTES = 4  # one fp32 maximum for each block of quantised states


@record
class StateRule:
    """One state of an optimizer.

    Attributes:
        bytes: bytes of a number.
        of: ``all`` tensors, ``matrices`` (what contracts its input), or the ``others``.
        factored: a matrix keeps its rows' and columns' sums instead of every element (Adafactor).
        block: elements that share a maximum (8-bit states); 0: none do.
    """

    bytes: int
    of: str = "all"
    factored: bool = False
    block: int = 0

    def bytes_of(self, row: Row, elements: int) -> int:
        """Bytes for one copy of a tensor of which a rank holds ``elements``."""
        if (self.of == "matrices" and not row.tensor.linear) or (self.of == "others" and row.tensor.linear):
            return 0
        if self.factored and len(row.tensor.groups) > 1:
            copies, rows, columns = shape(row)
            whole = copies * rows * columns
            return -(-copies * (rows + columns) * elements * self.bytes // whole)
        scales = -(-elements // self.block) * SCALE_BYTES if self.block else 0
        return elements * self.bytes + scales


@record
class Adapters:
    """Low-rank adapters [hu2021]: the named matrices get ``x a b``, of ``rank``; all else is frozen.

    Attributes:
        rank: inner width of an adapter.
        targets: names of matrices in the equations, such as ``wq`` and ``wv``.
    """

    rank: int
    targets: tuple[str, ...]

    def has(self, row: Row) -> bool:
        """Whether a tensor gets an adapter."""
        return row.tensor.linear and row.tensor.name in self.targets and not row.tensor.active

    def elements(self, row: Row) -> int:
        """Elements of a tensor's adapter: ``rank · (in + out)``."""
        if not self.has(row):
            return 0
        copies, rows, columns = shape(row)
        return copies * self.rank * (rows + columns)


class Trained(NamedTuple):
    """What of one copy of a tensor is trained on one rank: elements, and the optimizer's bytes for them."""

    elements: int
    states: int


def trained(row: Row, own: int, states: tuple[StateRule, ...], adapters: Adapters | None) -> Trained:
    """A tensor is trained as a whole, by its adapter alone, or, in a frozen stack, not at all. Adapters are not divided
    by tensor parallelism.
    """
    if row.entry.stack.frozen:
        return Trained(0, 0)
    if adapters is None:
        return Trained(own, sum(rule.bytes_of(row, own) for rule in states))
    elements = adapters.elements(row)
    return Trained(elements, sum(rule.bytes * elements for rule in states))
