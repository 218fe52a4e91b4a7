"""Byte and patch vectors passed between the stacks of a byte-latent model [pagnoni2024]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import UnsupportedError
from .step import Step
from .weights import Array


def patches_begun(tokens: int, patch: int) -> int:
    """Number of patches that have begun within ``tokens`` bytes.

    >>> [patches_begun(tokens, 4) for tokens in (0, 1, 4, 5, 6, 9)]
    [0, 1, 1, 2, 2, 3]
    """
    return -(-tokens // patch)


@dataclass
class PatchHandover:
    """Byte stream, patch vectors, and the output of the stack that runs on patches.

    Attributes:
        ids: byte ids [b q].
        stream: output of the stack that ran on bytes [b q d].
        vectors: n vectors for each of p patches, in order [b p·n d].
        patches: output of the stack that ran on patches [b p n·d].
    """

    ids: Array = None
    stream: Array = None
    vectors: Array = None
    patches: Array = None

    def store(self, patch: int | None, step: Step, result: Array) -> None:
        """Store the output of a stack: of patches if ``patch`` is given, of bytes otherwise."""
        if patch:
            self.patches = result
        else:
            self.ids, self.stream, self.vectors = step.ids, step.streams[-1], step.vectors

    def step(self, patch: int | None, width: int, cached: int) -> Step:
        """The next stack's step after ``cached`` bytes: on the patches completed since then, or on bytes."""
        if self.vectors is None:
            raise UnsupportedError("no stack of bytes has produced patch vectors")
        b = self.ids.shape[0]
        if patch:
            before, ended = (patches_begun(tokens, patch) for tokens in (cached, cached + self.ids.shape[1]))
            ids = np.zeros((b, ended - before), int)
            if self.vectors.shape[1] * self.vectors.shape[2] != (ended - before) * width:
                raise UnsupportedError(f"the concatenated vectors of a patch do not have width {width}")
            return Step(ids, before, data=self.vectors.reshape(b, ended - before, width))
        if not self.vectors.shape[1]:
            return Step(self.ids, cached, data=self.stream, source=np.zeros((b, 0, width)))
        if self.patches is None or self.stream.shape[-1] != width or self.patches.shape[-1] % width:
            raise UnsupportedError(f"no stack has produced patch vectors of the bytes' width, {width}")
        n_vectors = self.patches.shape[-1] // width
        source = self.patches.reshape(b, self.patches.shape[1] * n_vectors, width)
        return Step(self.ids, cached, data=self.stream, source=source)
