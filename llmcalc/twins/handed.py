"""What one stack of a text hands on to the next: bytes with the vectors of their patches [pagnoni2024]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import UnsupportedError
from .step import Step
from .weights import Array


def complete(tokens: int, patch: int) -> int:
    """Number of patches that have begun within ``tokens`` bytes.

    >>> [complete(tokens, 4) for tokens in (0, 1, 4, 5, 6, 9)]
    [0, 1, 1, 2, 2, 3]
    """
    return -(-tokens // patch)


@dataclass
class Handed:
    """The stream of a stack of bytes, the vectors of the patches that end among them, and what was made of these.

    Attributes:
        ids: of the bytes [b q].
        stream: of the bytes [b q d].
        vectors: of the patches, one behind the other [b p·n d].
        patches: as many, each one vector, once a stack has run on them [b p n·d].
    """

    ids: Array = None
    stream: Array = None
    vectors: Array = None
    patches: Array = None

    def take(self, patch: int | None, step: Step, result: Array) -> None:
        """Keep what a stack has made: of patches, or of bytes."""
        if patch:
            self.patches = result
        else:
            self.ids, self.stream, self.vectors = step.ids, step.streams[-1], step.vectors

    def step(self, patch: int | None, width: int, cached: int) -> Step:
        """The step of a stack of some width behind ``cached`` bytes: on patches that end since then, or on bytes."""
        if self.vectors is None:
            raise UnsupportedError("no stack of bytes has made vectors of patches")
        b = self.ids.shape[0]
        if patch:
            before, ended = (complete(tokens, patch) for tokens in (cached, cached + self.ids.shape[1]))
            ids = np.zeros((b, ended - before), int)
            if self.vectors.shape[1] * self.vectors.shape[2] != (ended - before) * width:
                raise UnsupportedError(f"the vectors of a patch are not {width} wide side by side")
            return Step(ids, before, data=self.vectors.reshape(b, ended - before, width))
        if not self.vectors.shape[1]:
            return Step(self.ids, cached, data=self.stream, source=np.zeros((b, 0, width)))
        if self.patches is None or self.stream.shape[-1] != width or self.patches.shape[-1] % width:
            raise UnsupportedError(f"no stack has made vectors of patches as wide as bytes, {width}")
        n_vectors = self.patches.shape[-1] // width
        source = self.patches.reshape(b, self.patches.shape[1] * n_vectors, width)
        return Step(self.ids, cached, data=self.stream, source=source)
