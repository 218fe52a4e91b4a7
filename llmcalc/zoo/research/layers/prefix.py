"""Learned keys and values in front of those of the tokens: prefix tuning [li2021]."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class Prefix(Layer):
    """``k, v = gelu(table w1 + b1) w2 + b2`` for every layer of a stack at once; attention with ``prefix`` sees them.

    Attributes:
        d_model: width of the stack.
        length: positions of the prefix.
        d_ff: hidden width of the network.
        n_layers: layers that get keys and values of their own.
    """

    d_model: int
    length: int
    d_ff: int
    n_layers: int

    def declare(self) -> Declaration:
        """Table ``[length, d_model]`` and two matrices, computed once for the whole batch."""
        declaration = Declaration(
            {"pre": self.length, "d": self.d_model, "f": self.d_ff, "kv": 2 * self.n_layers * self.d_model}
        )
        declaration.weights("table[pre; d]", table="other")
        declaration.weights("w1[d | f]", "b1[f]", "w2[f | kv]", "b2[kv]")
        declaration.equations(
            "u[pre f] = table[pre d] w1[d f]",
            "u[pre f] = add(u, b1)",
            "m[pre f] = gelu(u)",
            "y[pre kv] = m[pre f] w2[f kv]",
            "y[pre kv] = add(y, b2)",
        )
        return declaration
