"""A dense convolution along the tokens: the front end of an audio encoder."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record
from .mlp import ACTIVATIONS

HALVES = 2


@record
class Conv(Layer):
    """``y_t = act(Σ_τ x_{t·stride+τ} w_τ + b)``.

    Attributes:
        d_in: channels of the input.
        d_out: channels of the output.
        taps: width of the kernel.
        rate: results for every token of the stack (2 before another convolution of stride 2).
        stride: rows of its input from one result to the next.
        extra: results beyond these, which the taps of the convolutions behind it reach without padding.
        bias: a bias per channel.
        gated: half of the channels are gates of the others (a gated linear unit).
        normed: a norm over all results, with a factor and a bias per channel (one group of GroupNorm).
        activation: elementwise function on the result.
        groups: of channels that do not mix.
        of_data: its input is data, to which no gradient flows.
    """

    d_in: int
    d_out: int
    taps: int
    rate: int = 1
    stride: int = 1
    extra: int = 0
    bias: bool = True
    gated: bool = False
    normed: bool = False
    activation: str = "identity"
    groups: int = 1
    of_data: bool = False

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"extra"})

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("groups", "d_in")
        self.must_divide("groups", "d_out")
        if self.gated and self.d_out % HALVES:
            raise SizeError(f"d_out is {self.d_out}; gated, it is even", where="conv")
        if self.gated and self.normed:
            raise SizeError("gated and normed exclude each other", where="conv")

    def declare(self) -> Declaration:
        """Weight ``[d_out, d_in / groups, taps]`` and a bias."""
        axes: dict[str, int | str] = {"in": self.d_in // self.groups, "out": self.d_out, "taps": self.taps}
        axes |= {"ms": self.rate, "qs": f"q * ms + {self.extra}" if self.extra else "q * ms"}
        axes |= {"half": self.d_out // HALVES} if self.gated else {}
        read, select = "qs", ""
        if self.stride > 1:
            axes["rows"], read, select = f"q * ms * {self.stride}", "rows", "rows:qs"
        declaration = Declaration(axes)
        declaration.weights("w[out; in; taps]", *(["b[out]"] if self.bias else []))
        declaration.weights(*(["norm[out]", "norm_b[out]"] if self.normed else []))
        notes = " ".join(filter(None, (select, "constant" if self.of_data else "")))
        line = f"y[b qs out] = x[b {read} in] w[out in taps]"
        declaration.equations(f"{line} | {notes}" if notes else line)
        declaration.equations(*(["y[b qs out] = add(y, b)"] if self.bias else []))
        if self.activation != "identity":
            declaration.equations(f"y[b qs out] = {self.activation}(y)")
        if self.gated:
            declaration.equations(
                "u[b qs half] = copy(y)",
                "gate[b qs half] = copy(y)",
                "gate[b qs half] = sigmoid(gate)",
                "y[b qs half] = mul(u, gate)",
            )
        if self.normed:
            declaration.equations("y[b qs out] = layernorm(y, norm, norm_b)")
        return declaration
