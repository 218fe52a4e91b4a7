"""RWKV-4 time mixing [peng2023, Section 3.1] with linear attention and a decay per channel."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles


@record
class RwkvTimeMix(Layer):
    """Time mixing ``y = (sigmoid(r) * wkv(k, v)) wo``. Each input mixes the current and previous token.

    Attributes:
        d_model: width of input and output.
        d_inner: width of receptance, key and value (default: d_model).
    """

    d_model: int
    d_inner: int | None = None

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="i")
    ROLES: ClassVar[Roles] = Roles(hidden="d_inner")
    IS_RECURRENT: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check()
        self.derive(d_inner=self.d_model)

    def declare(self) -> Declaration:
        """Declare four projections, three mixing vectors, the decay, the bonus and four state vectors."""
        declaration = Declaration({"d": self.d_model, "i": self.d_inner or self.d_model})
        declaration.weights("mix_k[d]", "mix_v[d]", "mix_r[d]", "decay[i]", "first[i]")
        declaration.weights("wk[d | i]", "wv[d | i]", "wr[d | i]", "wo[i | d]")
        for name in ("k", "v", "r"):
            declaration.equations(f"x{name}[b q d] = mul(x, mix_{name})", f"x{name}[b q d] = add(x{name}, shifted)")
            declaration.equations(f"{name}[b q i] = x{name}[b q d] w{name}[d i]")
        declaration.equations("o[b q i] = wkv(k, v, decay, first)", "r[b q i] = sigmoid(r)", "o[b q i] = mul(o, r)")
        declaration.equations("y[b q d] = o[b q i] wo[i d]")
        declaration.state("shift[b d]", "recurrent")
        declaration.state("numerator[b i]", "recurrent")
        declaration.state("denominator[b i]", "recurrent")
        declaration.state("maximum[b i]", "recurrent")
        return declaration
