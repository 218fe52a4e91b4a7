"""What a loop over blocks hands on: the stream of an earlier place, added to that of a later one."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class Injection(Layer):
    """``y = x + m``, where m is what the stream was at the last place that keeps it under this name.

    A loop over blocks reads its own beginning again, or two levels of one read each other's state. What is kept lives
    within a step: no later token needs it.

    Attributes:
        d_model: width of the stream.
        keeps: name under which the layer's input is kept, before anything is added; empty: it is not.
        adds: name of what is added; empty: nothing is.
    """

    d_model: int
    keeps: str = ""
    adds: str = ""

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {**Layer.EXTERNAL_TENSORS, "kept": "the stream of an earlier place"}

    def declare(self) -> Declaration:
        """No tensor: a sum."""
        declaration = Declaration({"d": self.d_model})
        declaration.equations("y[b q d] = add(x, kept)" if self.adds else "y[b q d] = copy(x)")
        return declaration
