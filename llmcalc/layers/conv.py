"""A dense convolution along the tokens, or over a spectrogram: the front end of an audio encoder."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record
from ._heard import results
from .mlp import ACTIVATIONS

HALVES = 2


@record
class Conv(Layer):
    """``y_t = act(Σ_τ x_{t·stride+τ} w_τ + b)``; over a spectrogram, the kernel has taps along the frequencies too.

    Attributes:
        d_in: channels of the input.
        d_out: channels of the output.
        taps: width of the kernel.
        upsample: results for every token of the stack (2 before another convolution of stride 2).
        stride: rows of its input from one result to the next.
        extra: results beyond these, which the taps of the convolutions behind it reach without padding.
        padded: zeros beyond the ends; otherwise there are as many rows as all taps of the last result reach.
        bias: a bias per channel.
        gated: half of the channels are gates of the others (a gated linear unit).
        normed: a norm over all results, with a factor and a bias per channel (one group of GroupNorm).
        activation: elementwise function on the result.
        groups: of channels that do not mix.
        of_data: its input is data, to which no gradient flows.
        span: frames of sound for which there is one result, in a tower that hears (2 behind a stride of 2); None: a
            result for each of the stack's tokens.
        chunk: frames that are convolved apart from all others; the last ones are padded to as many as the first.
        reach: frames that each result is made of, where nothing pads the ends.
        overrun: results that the implementation computes beyond those, and leaves out.
        rows: frequencies in the result of a convolution over a spectrogram; None: there is one dimension, time.
        taps_across: taps along the frequencies (default: as along time).
    """

    d_in: int
    d_out: int
    taps: int
    upsample: int = 1
    stride: int = 1
    extra: int = 0
    padded: bool = True
    bias: bool = True
    gated: bool = False
    normed: bool = False
    activation: str = "identity"
    groups: int = 1
    of_data: bool = False
    span: int | None = None
    chunk: int | None = None
    reach: int | None = None
    overrun: int = 0
    rows: int | None = None
    taps_across: int | None = None

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"extra", "overrun"})

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("groups", "d_in")
        self.must_divide("groups", "d_out")
        if self.gated and self.d_out % HALVES:
            raise SizeError(f"d_out is {self.d_out}; gated, it is even", where="conv")
        if self.gated and self.normed:
            raise SizeError("gated and normed exclude each other", where="conv")
        if self.span and (self.upsample > 1 or self.stride > 1 or self.extra):
            raise SizeError("span says what upsample, stride and extra would say", where="conv")
        if not self.padded and (self.span or self.rows):
            raise SizeError("without padding, it goes without span and rows", where="conv")
        if (self.chunk or self.reach) and not self.span:
            raise SizeError("chunk and reach go with span", where="conv")
        if self.chunk and self.reach:
            raise SizeError("chunk and reach exclude each other", where="conv")
        if self.taps_across and not self.rows:
            raise SizeError("taps_across goes with rows", where="conv")
        if self.rows and (self.gated or self.normed):
            raise SizeError("gated and normed go without rows", where="conv")
        if self.rows:
            self.derive(taps_across=self.taps)

    def declare(self) -> Declaration:
        """Weight ``[d_out, d_in / groups, taps]``, or with taps along the frequencies, and a bias."""
        axes: dict[str, int | str] = {"in": self.d_in // self.groups, "out": self.d_out, "taps": self.taps}
        length = f"q * ms + {self.extra}" if self.extra else "q * ms"
        length = results(self.span, self.chunk, self.reach) if self.span else length
        declaration = Declaration({**axes, "ms": self.upsample, "qs": length})
        declaration.axes |= {"half": self.d_out // HALVES} if self.gated else {}
        if self.overrun:
            declaration.as_torch["qs"] = f"{length} + min(q, 1) * {self.overrun}"
        across, kernel = (" rw", " tf") if self.rows else ("", "")
        if self.rows and self.taps_across:
            declaration.axes |= {"rw": self.rows, "tf": self.taps_across}
        read, select = "qs", ""
        if self.stride > 1 or not self.padded:
            beyond = self.extra * self.stride + (0 if self.padded else self.taps - self.stride)
            reached = f"q * {self.upsample * self.stride}{f' + {beyond}' if beyond else ''}"
            declaration.axes["rows"], read, select = reached, "rows", "rows:qs"
        declaration.weights(f"w[out; in;{kernel}{';' if kernel else ''} taps]", *(["b[out]"] if self.bias else []))
        declaration.weights(*(["norm[out]", "norm_b[out]"] if self.normed else []))
        notes = " ".join(filter(None, (select, "constant" if self.of_data else "")))
        line = f"y[b qs{across} out] = x[b {read}{across} in] w[out in{kernel} taps]"
        declaration.equations(f"{line} | {notes}" if notes else line)
        declaration.equations(*([f"y[b qs{across} out] = add(y, b)"] if self.bias else []))
        if self.activation != "identity":
            declaration.equations(f"y[b qs{across} out] = {self.activation}(y)")
        if self.gated:
            declaration.equations(
                "u[b qs half] = copy(y)",
                "gate[b qs half] = copy(y)",
                "gate[b qs half] = sigmoid(gate)",
                "y[b qs half] = mul(u, gate)",
            )
        if self.normed:
            declaration.equations("y[b qs out] = groupnorm(y, norm, norm_b)")
        return declaration
