"""Number formats, and tensor sizes in bits under each format."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.ledger import Row, matrix_shape
from ...core.record import record
from ...core.type_names import Any

BITS_A_BYTE = 8


@record
class Format:
    """A number format.

    Attributes:
        bits: bits per block, including scales and zero points.
        block: number of elements per block along a row (the input dimension of a matrix).
        rows: number of rows per block (128 for 128x128 tiles).
        payload: bits per element if the last block is stored without padding (0: blocks are padded).
        flat: whether blocks are formed from the flattened tensor instead of from each row.
        outer: number of blocks that share an outer constant of ``outer_bits`` bits (0: no outer constant).
        row_bits: additional bits per row, such as a scale per output channel.
        column_bits: additional bits per column, such as a group index per input channel.
        fallback: format used if the row length is not a multiple of ``block``.
    """

    name: str
    bits: int
    block: int = 1
    rows: int = 1
    payload: int = 0
    flat: bool = False
    outer: int = 0
    outer_bits: int = 0
    row_bits: int = 0
    column_bits: int = 0
    tensor_bits: int = 0
    fallback: Format | None = None
    checked: bool = True
    source: str = ""

    def bits_of(self, rows: int, columns: int) -> int:
        """Return the size of a ``rows`` x ``columns`` matrix in bits.

        >>> Format("mxfp4", 136, block=32, payload=4).bits_of(2, 48)  # 96 elements of 4 bits, 4 scales of 8
        416
        """
        if self.fallback and columns % self.block:
            return self.fallback.bits_of(rows, columns)
        elements = rows * columns
        blocks = -(-elements // self.block) if self.flat else -(-columns // self.block) * -(-rows // self.rows)
        overhead = self.bits - self.payload * self.block * self.rows
        stored = elements * self.payload + blocks * overhead if self.payload else blocks * self.bits
        outer = -(-blocks // self.outer) * self.outer_bits if self.outer else 0
        return stored + outer + rows * self.row_bits + columns * self.column_bits + self.tensor_bits

    def used(self, columns: int) -> Format:
        """Return the format used for rows of ``columns`` elements, either this format or a fallback."""
        return self.fallback.used(columns) if self.fallback and columns % self.block else self

    @property
    def plain(self) -> bool:
        """Whether the format stores elements without scales."""
        return self.block == 1 and not (self.row_bits or self.column_bits or self.tensor_bits)

    @property
    def bits_per_weight(self) -> float:
        """Bits per element of a large matrix, excluding per-row and per-tensor constants."""
        return (self.bits + (self.outer_bits / self.outer if self.outer else 0)) / (self.block * self.rows)


def shape(row: Row) -> tuple[int, int, int]:
    """Return (copies, rows, columns) of a tensor. A matrix has one column per input, and a vector is a single row."""
    return matrix_shape(row.tensor, row.declaration)


def read_format(name: str, data: Mapping[str, Any], fallback: Format | None = None) -> Format:
    """Create a format from an entry in the data files."""
    keys = [key for key in Format.__match_args__ if key not in ("name", "fallback")]
    return Format(name, **{key: data[key] for key in keys if key in data}, fallback=fallback)
