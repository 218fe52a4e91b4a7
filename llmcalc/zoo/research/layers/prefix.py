"""Prefix tuning [li2021]. Learned keys and values precede the keys and values of the tokens."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles


@record
class Prefix(Layer):
    """``k, v = gelu(table w1 + b1) w2 + b2`` for all attention layers that have a ``prefix``.

    Attributes:
        d_model: width of the stack.
        length: number of prefix positions.
        d_ff: hidden width of the network.
        n_layers: number of layers; each layer has separate keys and values.
    """

    d_model: int
    length: int
    d_ff: int
    n_layers: int

    AXES: ClassVar[str] = """
    kv  d_prefix_kv  prefix keys and values of all layers
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="f", whole="pre kv")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    IN_ANY_BLOCK: ClassVar[bool] = False

    def declare(self) -> Declaration:
        """Declare a table ``[length, d_model]`` and two matrices that are applied once per batch."""
        axes: dict[str, int | str] = {"pre": self.length, "d": self.d_model, "f": self.d_ff}
        declaration = Declaration({**axes, "kv": 2 * self.n_layers * self.d_model})
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
