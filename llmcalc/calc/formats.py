"""Number formats: how many bits a tensor takes, counted in whole blocks and divided by 8 last."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from ..core.ledger import Row
from ..core.record import record

BITS_A_BYTE = 8


@record
class Format:
    """A number format.

    Attributes:
        name: what it is called.
        bits: bits of one block, scales and zeros included.
        block: elements of a block along a row (what a matrix contracts with its input).
        rows: rows that a block spans (128 for 128x128 tiles).
        row_bits: further bits for each row, such as a scale per output channel.
        tensor_bits: further bits for each tensor.
    """

    name: str
    bits: int
    block: int = 1
    rows: int = 1
    row_bits: int = 0
    tensor_bits: int = 0

    def bits_of(self, rows: int, columns: int) -> int:
        """Bits of a matrix of ``rows`` x ``columns``; the last block of a row and the last row of blocks are whole."""
        blocks = -(-columns // self.block) * -(-rows // self.rows)
        return blocks * self.bits + rows * self.row_bits + self.tensor_bits

    @property
    def bits_per_weight(self) -> float:
        """Bits of an element in a long row."""
        return self.bits / (self.block * self.rows)


@record
class Weights:
    """Which format the weights of which component are kept in.

    Attributes:
        main: the format of the matrices.
        base: the format of all else: norms, biases, tables, the head, routers.
        components: components whose matrices are in ``main``; empty: all but those in ``kept``.
        kept: components that stay in ``base``.
    """

    main: Format
    base: Format
    components: tuple[str, ...] = ()
    kept: tuple[str, ...] = ("token embedding", "position embedding", "segment embedding", "head", "norm", "router")

    def format_of(self, row: Row, component: str) -> Format:
        """The format of a tensor of a component."""
        if self.main.block == 1 and self.main.bits >= BITS_A_BYTE * 2 and not self.components:
            return self.main  # a plain 16- or 32-bit format holds everything
        if not row.tensor.linear or component in self.kept:
            return self.base
        return self.main if not self.components or component in self.components else self.base


def tensor_bits(row: Row, chosen: Format) -> int:
    """Bits of one copy of a tensor: a matrix in rows as long as what it contracts, anything else as one row."""
    sizes = [prod(int(row.declaration.axes[axis]) for axis in group) for group in row.tensor.groups]
    if row.tensor.linear:
        *lead, inputs, outputs = sizes
        return prod(lead) * chosen.bits_of(outputs, inputs)
    return chosen.bits_of(1, row.size)


def read_format(name: str, data: Mapping[str, Any]) -> Format:
    """A format from its entry in the data files."""
    keys = ("bits", "block", "rows", "row_bits", "tensor_bits")
    return Format(name, **{key: data[key] for key in keys if key in data})
