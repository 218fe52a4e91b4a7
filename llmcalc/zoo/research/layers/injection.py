"""Addition of a saved stream to the current stream, used in loops over blocks."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class Injection(Layer):
    """``y = x + m``, where m is the stream most recently saved under the name ``adds``.

    Each pass of a loop can add the initial stream again, and two levels of a loop can add each other's state. Saved
    streams exist only within a step and are not cached.

    Attributes:
        d_model: width of the stream.
        keeps: name under which the input is saved before the addition; empty: the input is not saved.
        adds: name of the saved stream to add; empty: no addition.
    """

    d_model: int
    keeps: str = ""
    adds: str = ""

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"kept": "a saved stream"}

    def declare(self) -> Declaration:
        """Declare the addition, or a copy if no stream is added."""
        declaration = Declaration({"d": self.d_model})
        declaration.equations("y[b q d] = add(x, kept)" if self.adds else "y[b q d] = copy(x)")
        return declaration
