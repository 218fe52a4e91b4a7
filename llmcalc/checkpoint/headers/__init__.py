"""Headers of weight files: names, shapes, types and offsets of tensors, never their values.

Only the start of a file is read, within the bounds of ``limits``; nothing is executed or unpickled.

Headers                one checkpoint: a file, or several shards
└── FileHeader         one file: sizes of header, padding and tensors
    └── TensorInfo     one tensor: name, type, shape, offset
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

SAFETENSORS, GGUF = ".safetensors", ".gguf"


class TensorInfo(NamedTuple):
    """A tensor in a file: ``shape`` from the outermost dimension, ``offset`` in bytes within the file's data."""

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int

    @property
    def elements(self) -> int:
        """Stored elements; for a packed tensor, those of its packing."""
        return prod(self.shape)


class FileHeader(NamedTuple):
    """The header of one file, which lists the tensors that follow it."""

    name: str
    size_bytes: int
    header_bytes: int
    padding_bytes: int
    tensors: tuple[TensorInfo, ...]
    metadata: dict[str, Any]

    @property
    def data_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.size_bytes for tensor in self.tensors)

    @property
    def unexplained_bytes(self) -> int:
        """Bytes that belong neither to the header nor to padding nor to a tensor."""
        return self.size_bytes - self.header_bytes - self.padding_bytes - self.data_bytes


class Headers:
    """The headers of a checkpoint: its path, ``safetensors`` or ``gguf``, its files, and its ``config.json``."""

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
        """The metadata of the first file."""
        return self.files[0].metadata

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def elements(self) -> int:
        """Stored elements of all tensors; packed ones count as in their packing."""
        return sum(tensor.elements for tensor in self)

    def by_type(self) -> dict[str, tuple[int, int, int]]:
        """(tensors, elements, bytes) by type."""
        sums: dict[str, tuple[int, int, int]] = {}
        for tensor in self:
            count, elements, size = sums.get(tensor.type, (0, 0, 0))
            sums[tensor.type] = (count + 1, elements + tensor.elements, size + tensor.size_bytes)
        return sums


def is_weights(path: str | Path) -> bool:
    """Whether a path names a weight file whose header can be read."""
    return str(path).endswith((SAFETENSORS, GGUF))
