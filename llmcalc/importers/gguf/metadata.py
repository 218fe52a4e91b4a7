"""Typed access to the GGUF metadata of an architecture, with tracking of unread keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...checkpoint.headers import Headers
from ...core.errors import DescriptionError, SizeError, UnknownNameError, short_repr
from ...core.layer import LARGEST_SIZE, MOST_LAYERS


class Metadata:
    """Metadata keys of one architecture, without the architecture prefix. Every access marks a key as read."""

    def __init__(self, arch: str, headers: Headers, irrelevant: Collection[str]) -> None:
        self.arch, self.irrelevant = arch, irrelevant
        pairs = ((key.removeprefix(f"{arch}."), key, value) for key, value in headers.metadata.items())
        self.data = {short: value for short, key, value in pairs if short != key}
        self.tensors = headers.tensors
        self.read: set[str] = set()

    def get(self, key: str) -> Any:
        """Return a value or None. A list of identical values is reduced to a single value."""
        self.read.add(key)
        value = self.data.get(key)
        return value[0] if isinstance(value, list) and value and all(one == value[0] for one in value) else value

    def required(self, key: str) -> Any:
        """Return a value, or raise an error if the key is missing."""
        if self.data.get(key) is None:
            raise DescriptionError(f"the metadata has no key {self.arch}.{key}")
        return self.get(key)

    def size(self, key: str) -> int:
        """Return a positive integer, or raise an error if the key is missing."""
        return self._integer(self.required(key), key, 1)

    def count(self, key: str, default: int = 0) -> int:
        """Return a non-negative integer, or ``default`` if the key is missing."""
        value = self.get(key)
        return default if value is None else self._integer(value, key, 0)

    def per_layer(self, key: str, layers: int) -> list[int]:
        """Return one integer per layer, read from a list or from a single value that applies to all layers."""
        self.read.add(key)
        value = self.data.get(key)
        values = value if isinstance(value, list) else [value] * layers
        if len(values) != layers:
            raise SizeError(f"{self.arch}.{key} has {len(values)} entries for {layers} layers")
        return [self._integer(item, key, 0) for item in values]

    def n_layers(self) -> int:
        """Return the number of blocks."""
        count = self.size("block_count")
        if count > MOST_LAYERS:
            raise SizeError(f"{self.arch}.block_count must be at most {MOST_LAYERS:,}, not {count:,}")
        return count

    def has_tensor(self, name: str) -> bool:
        """Return whether the file has a tensor of this name at the top level or in any block."""
        if name in self.tensors:
            return True
        return any(tensor.startswith("blk.") and tensor.split(".", 2)[-1] == name for tensor in self.tensors)

    def rows(self, name: str) -> int:
        """Return the number of rows of a tensor, or raise an error if the tensor is missing."""
        tensor = self.tensors.get(name)
        if tensor is None or not tensor.shape:
            hint = "check that the file contains a language model"
            raise DescriptionError(f"the file has no tensor {name}", hint=hint)
        return tensor.shape[0]

    def tensor_shape(self, suffix: str) -> tuple[int, ...]:
        """Return the shape of the first tensor whose name ends in ``suffix``, or an empty tuple if there is none."""
        return next((tensor.shape for name, tensor in self.tensors.items() if name.endswith(suffix)), ())

    def check_all_read(self) -> None:
        """Raise an error if a key is unread, unless the key is irrelevant."""
        for key, value in self.data.items():
            if key not in self.read and key not in self.irrelevant:
                hint = f"{self.arch} models have no such key (value: {short_repr(value)})"
                raise UnknownNameError("GGUF key", f"{self.arch}.{key}", [], hint=hint)

    def _integer(self, value: object, key: str, least: int) -> int:
        if type(value) is not int or not least <= value <= LARGEST_SIZE:
            wanted = f"an integer from {least} to {LARGEST_SIZE:,}"
            raise SizeError(f"{self.arch}.{key} must be {wanted}, not {short_repr(value)}")
        return value
