"""Streams passed between the levels of a loop over blocks, where an earlier stream is added to a later one."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class Injection(Layer):
    """``y = x + m``, where m is the stream most recently saved under a name.

    A loop over blocks reads its initial stream again, or two levels of a loop read each other's state. A saved stream
    only exists within a step, so it is not part of the cache.

    Attributes:
        d_model: width of the stream.
        keeps: name under which the input is saved before the addition; empty: the input is not saved.
        adds: name of the saved stream to add; empty: none.
    """

    d_model: int
    keeps: str = ""
    adds: str = ""

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"kept": "a saved stream"}

    def declare(self) -> Declaration:
        """Declare a sum without weights."""
        declaration = Declaration({"d": self.d_model})
        declaration.equations("y[b q d] = add(x, kept)" if self.adds else "y[b q d] = copy(x)")
        return declaration
