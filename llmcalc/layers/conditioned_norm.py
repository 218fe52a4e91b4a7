"""A norm whose result is scaled by what a small network makes of a condition, such as a delay in time."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class ConditionedNorm(Layer):
    """``y = rmsnorm(x) * (1 + w2 gelu(w1 c))``, where one condition c, as wide as the stream, holds for all tokens.

    Attributes:
        d_model: width of input and output.
        rank: hidden width of the network.
        eps: added under the root.
    """

    d_model: int
    rank: int
    eps: float = 1e-6

    GIVEN: ClassVar[dict[str, str]] = {**Layer.GIVEN, "condition": "what holds for all tokens"}

    def declare(self) -> Declaration:
        """A scale ``[d_model]`` and two matrices ``[d_model, rank]`` and ``[rank, d_model]``."""
        declaration = Declaration({"d": self.d_model, "rank": self.rank, "cn": "min(q, 1)"})
        declaration.weights("w[d]", "w_in[d | rank]", "w_out[rank | d]")
        declaration.equations(
            "y[b q d] = rmsnorm(x[b q d], w)",
            "c[cn rank] = condition[cn d] w_in[d rank] | constant",
            "c[cn rank] = gelu(c)",
            "g[cn d] = c[cn rank] w_out[rank d]",
            "z[b q d] = mul(y, g)",
            "y[b q d] = add(y, z)",
        )
        return declaration
