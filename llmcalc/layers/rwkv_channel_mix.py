"""Feed-forward layer with a receptance gate, as in RWKV channel mixing [peng2023, Section 3.1]."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles


@record
class RwkvChannelMix(Layer):
    """Channel mixing: ``y = sigmoid(xr wr) * (relu²(xk wk) wv)``.

    Attributes:
        d_model: width of input and output.
        d_ff: hidden width.
    """

    d_model: int
    d_ff: int

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="f", whole="in")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    IS_RECURRENT: ClassVar[bool] = True

    def declare(self) -> Declaration:
        """Declare the key, value and receptance projections, and a state that holds the previous token."""
        declaration = Declaration({"d": self.d_model, "f": self.d_ff, "in": self.d_model})
        declaration.weights("mix_k[d]", "mix_r[d]", "wk[d | f]", "wv[f | d]", "wr[in | d]")
        for name in ("k", "r"):
            declaration.equations(f"x{name}[b q d] = mul(x, mix_{name})", f"x{name}[b q d] = add(x{name}, shifted)")
        declaration.equations("k[b q f] = xk[b q d] wk[d f]", "k[b q f] = relu2(k)", "v[b q d] = k[b q f] wv[f d]")
        declaration.equations("r[b q d] = xr[b q in] wr[in d]", "r[b q d] = sigmoid(r)", "y[b q d] = mul(r, v)")
        declaration.state("shift[b d]", "recurrent")
        return declaration
