"""Weight file headers, which list the names, shapes, types and offsets of tensors.

Only the start of a file is read, within the bounds of ``limits``, and nothing is executed or unpickled.

Headers                one checkpoint: a file, or several shards
└── FileHeader         one file: sizes of header, padding and tensors
    └── TensorInfo     one tensor: name, type, shape, offset
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from ...core.amount import group_by
from ...core.errors import DescriptionError, short_repr
from ...core.record import NamedTuple
from ...schema.plain_data import changed_errors

if TYPE_CHECKING:
    from pathlib import Path

SAFETENSORS, GGUF = ".safetensors", ".gguf"
COMPLETE = "Check that the file is complete."


class TensorInfo(NamedTuple):
    """A stored tensor. ``shape`` starts with the outermost dimension. ``offset`` is the number of bytes from the
    start of the data.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int

    @property
    def elements(self) -> int:
        """Number of stored elements. Packed tensors are counted in packed form."""
        return prod(self.shape)


class FileHeader(NamedTuple):
    """Header of one weight file, with a list of the tensors in the file."""

    name: str
    size_bytes: int
    header_bytes: int
    padding_bytes: int
    tensors: tuple[TensorInfo, ...]
    metadata: dict[str, Any]

    @property
    def data_bytes(self) -> int:
        """Total size of the tensors in bytes."""
        return sum(tensor.size_bytes for tensor in self.tensors)

    @property
    def unexplained_bytes(self) -> int:
        """Number of bytes outside the header, the padding and the tensors."""
        return self.size_bytes - self.header_bytes - self.padding_bytes - self.data_bytes


class Headers:
    """Headers of a checkpoint, including its path, files and ``config.json``. ``kind`` is the file format."""

    def __init__(
        self, where: str, kind: str, files: tuple[FileHeader, ...], config: dict[str, Any] | None = None
    ) -> None:
        self.where, self.kind, self.files, self.config = where, kind, files, config

    def __iter__(self) -> Iterator[TensorInfo]:
        return (tensor for file in self.files for tensor in file.tensors)

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """All tensors by name."""
        return {tensor.name: tensor for tensor in self}

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the first file."""
        return self.files[0].metadata

    @property
    def size_bytes(self) -> int:
        """Total size of the files in bytes."""
        return sum(file.size_bytes for file in self.files)

    @property
    def elements(self) -> int:
        """Total number of stored elements. Packed tensors are counted in packed form."""
        return sum(tensor.elements for tensor in self)

    def by_type(self) -> dict[str, tuple[int, int, int]]:
        """Tensor, element and byte counts by type."""
        return {kind: sums(same) for kind, same in group_by(self, lambda tensor: tensor.type).items()}


def sums(tensors: list[TensorInfo]) -> tuple[int, int, int]:
    """Return the numbers of tensors, elements and bytes."""
    return len(tensors), sum(tensor.elements for tensor in tensors), sum(tensor.size_bytes for tensor in tensors)


def padding_bytes(tensors: Iterable[TensorInfo], data: int, alignment: int = 1) -> int:
    """Return the number of padding bytes between and after aligned tensors. Raise an error for any overlaps or
    gaps.
    """
    end = padding = 0
    names: set[str] = set()
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.size_bytes)):
        name = short_repr(tensor.name)
        if tensor.name in names:
            raise DescriptionError(f"tensor {name} is listed twice")
        names.add(tensor.name)
        begin = -(-end // alignment) * alignment
        if tensor.offset != begin:
            problem = "overlaps another tensor" if tensor.offset < end else "leaves a gap"
            raise DescriptionError(f"{name} at byte {tensor.offset:,} {problem} (expected start: byte {begin:,})")
        padding += begin - end
        end = tensor.offset + tensor.size_bytes
        if end > data:
            message = f"{name} ends at byte {end:,} of the data, but the file has {data:,} bytes of data"
            raise DescriptionError(message, hint=COMPLETE)
    last = -(-end // alignment) * alignment - end
    return padding + (last if data == end + last else 0)


def located(where: str) -> AbstractContextManager[None]:
    """Return a context that adds a location to errors that have none."""
    return changed_errors(lambda error: error.at(where))


def is_weights(path: str | Path) -> bool:
    """Return whether a path refers to a weight file with a readable header."""
    return str(path).endswith((SAFETENSORS, GGUF))
