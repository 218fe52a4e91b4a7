"""What files of weights say of themselves: names, shapes, types and places of their tensors, never the numbers.

Only the head of a file is read, within bounds (``limits``); nothing is executed or unpickled.

    Headers                one checkpoint: a file, or the shards of one
    └── File               its bytes: header, padding, tensors
        └── Held           a tensor: name, type, shape, place
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

SAFETENSORS, GGUF = ".safetensors", ".gguf"
SUFFIXES = (SAFETENSORS, GGUF)


class Held(NamedTuple):
    """A tensor that a file holds: ``shape`` outermost dimension first, ``start`` within the file's data, ``size`` in
    bytes.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    start: int
    size: int

    @property
    def elements(self) -> int:
        """Stored elements; of a packed tensor, those of the packing."""
        product = 1
        for length in self.shape:
            product *= length
        return product


class File(NamedTuple):
    """One file: ``size`` bytes, of which ``header`` say what there is, ``padding`` is empty, the rest is tensors."""

    name: str
    size: int
    header: int
    padding: int
    tensors: tuple[Held, ...]
    metadata: dict[str, Any]

    @property
    def data(self) -> int:
        """Bytes of all tensors."""
        return sum(held.size for held in self.tensors)

    @property
    def unexplained(self) -> int:
        """Bytes that are neither header nor padding nor tensor."""
        return self.size - self.header - self.padding - self.data


class Headers:
    """The headers of a checkpoint.

    Attributes:
        where: its path, as given.
        kind: ``safetensors`` or ``gguf``.
        files: its files, in the order of their names.
        config: the content of the ``config.json`` beside it, or None.
    """

    def __init__(self, where: str, kind: str, files: tuple[File, ...], config: dict[str, Any] | None = None) -> None:
        self.where, self.kind, self.files, self.config = where, kind, files, config

    def __iter__(self) -> Iterator[Held]:
        return (held for file in self.files for held in file.tensors)

    @cached_property
    def tensors(self) -> dict[str, Held]:
        """Every tensor by its name."""
        return {held.name: held for held in self}

    @property
    def metadata(self) -> dict[str, Any]:
        """What the first file says beside its tensors."""
        return self.files[0].metadata

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def total(self) -> int:
        """Stored elements of all tensors, as they are: packed ones count as what they are packed in."""
        return sum(held.elements for held in self)

    def by_type(self) -> dict[str, tuple[int, int, int]]:
        """(tensors, elements, bytes) of each type."""
        found: dict[str, tuple[int, int, int]] = {}
        for held in self:
            count, elements, size = found.get(held.type, (0, 0, 0))
            found[held.type] = (count + 1, elements + held.elements, size + held.size)
        return found


def is_weights(path: str | Path) -> bool:
    """Whether a name is that of a file of weights whose header can be read."""
    return str(path).endswith(SUFFIXES)
