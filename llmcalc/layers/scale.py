"""A number that the residual stream is multiplied by: a constant (Gemma 3n), or one that is stored (Gemma 4)."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class Scale(Layer):
    """``y = factor x``, or ``y = s x`` with a number s that is stored, but no parameter.

    Attributes:
        d_model: width of the stream.
        factor: the number, if it is a constant.
        stored: it is stored beside the parameters instead, as a buffer.
    """

    d_model: int
    factor: float = 1.0
    stored: bool = False

    def declare(self) -> Declaration:
        """At most one number, which is no parameter."""
        declaration = Declaration({"d": self.d_model, "one": 1})
        if self.stored:
            declaration.weights("s[one]", buffer=True)
        declaration.equations("y[b q d] = mul(x, s)" if self.stored else "y[b q d] = scale(x)")
        return declaration
