"""A learned factor on a sub-layer's result, on the stream that it is added to, or on the step between them."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class Scale(Layer):
    """``y = w x``; of the ``residual``: ``x + w r``; of the ``step``: ``r + w (x - r)``, with the residual stream r.

    Attributes:
        d_model: width of the stream.
        of: what is scaled: the ``output``, the ``residual`` or the ``step`` from it to the output (nGPT).
        lone: one number instead of one a channel.
        function: what the factor goes through: ``identity`` or ``tanh`` (a gate that begins closed).
        unused: stored, but never run.
    """

    d_model: int
    of: str = "output"
    lone: bool = False
    function: str = "identity"
    unused: bool = False

    GIVEN: ClassVar[dict[str, str]] = {**Layer.GIVEN, "r": "the residual stream"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "of": ("output", "residual", "step"),
        "function": ("identity", "tanh"),
    }

    def declare(self) -> Declaration:
        """A vector ``[d_model]``, or one number."""
        axis = "one" if self.lone else "d"
        declaration = Declaration({"d": self.d_model, **({"one": 1} if self.lone else {})})
        declaration.weights(f"w[{axis}]", unused=self.unused)
        if self.unused:
            return declaration
        declaration.equations(f"g[{axis}] = {self.function}(w)")
        scaled = {
            "output": ["y[b q d] = mul(x, g)"],
            "residual": ["r[b q d] = mul(r, g)"],
            "step": ["y[b q d] = add(x, r)", "y[b q d] = mul(y, g)"],
        }
        declaration.equations(*scaled[self.of])
        return declaration
