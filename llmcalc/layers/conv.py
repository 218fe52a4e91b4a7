"""Convolution along tokens or over a spectrogram, as used at the input of an audio encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from .mlp import ACTIVATIONS

if TYPE_CHECKING:
    from ..core.shrink import Sizes

HALVES = 2


@record
class Conv(Layer):
    """``y_t = act(Σ_τ x_{t·stride+τ} w_τ + b)``, optionally also along the frequencies of a spectrogram.

    Attributes:
        d_in: number of input channels.
        d_out: number of output channels.
        taps: kernel size.
        upsample: number of output rows per token of the stack (2 before another convolution with stride 2).
        stride: distance between consecutive kernel positions.
        extra: number of additional output rows that later unpadded convolutions need.
        padded: whether the ends are padded with zeros.
        bias: whether there is a bias per channel.
        gated: whether one half of the channels gates the other half (gated linear unit).
        normed: whether the convolution is followed by a GroupNorm with one group.
        activation: elementwise function applied to the output.
        groups: number of channel groups.
        of_data: whether the input is raw data without a gradient.
        span: number of audio frames per output row (2 after a stride of 2); None for one row per token.
        chunk: number of audio frames per separately convolved chunk. The last chunk is padded.
        reach: number of audio frames that affect each output row, without padding.
        overrun: number of output rows that the implementation computes and discards.
        rows: number of output frequency bins; None for a convolution along time only.
        taps_across: kernel size along the frequencies (default: ``taps``).
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

    AXES: ClassVar[str] = """
    half  d_out / 2      output channels of a gated convolution
    tf    n_taps_across  taps of a convolution along the frequency axis
    rw    n_output_rows  output positions of a convolution along the frequency axis
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="in out taps tf")
    ROLES: ClassVar[Roles] = Roles(chunks="chunk")
    HAS_ORDER: ClassVar[bool] = True
    IN_ANY_BLOCK: ClassVar[bool] = False
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"extra", "overrun"})
    INPUT_WIDTH: ClassVar[str] = "d_in"
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {
        "d_in d_out": "width",
        "taps": "at most 5",
        "upsample stride": "keep",
        "groups": "3 2",
        "chunk": "5 3",
        "rows": "vocab 97 101 103 107",
    }

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("groups", "d_in")
        self.must_divide("groups", "d_out")
        if self.gated and self.d_out % HALVES:
            raise self.size_error("d_out", f"must be even when gated is set, not {self.d_out}")
        if self.gated and self.normed:
            raise self.size_error("gated", "and normed cannot be combined")
        if self.span and (self.upsample > 1 or self.stride > 1 or self.extra):
            raise self.size_error("span", "cannot be combined with upsample, stride or extra")
        if not self.padded and (self.span or self.rows):
            raise SizeError("padded: false cannot be combined with span or rows", field="padded", where="conv")
        if (self.chunk or self.reach) and not self.span:
            raise self.size_error("chunk", "and reach require span")
        if self.chunk and self.reach:
            raise self.size_error("chunk", "and reach cannot be combined")
        if self.taps_across and not self.rows:
            raise self.size_error("taps_across", "requires rows")
        if self.rows and (self.gated or self.normed):
            raise self.size_error("rows", "cannot be combined with gated or normed")
        if self.rows:
            self.derive(taps_across=self.taps)

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return an even output width for gated layers in the small test model. Without padding, ``taps`` and
        ``extra``
        stay unchanged.
        """
        if field == "d_out" and self.gated:
            return 2 * sizes.width(self.d_out // 2)
        return getattr(self, field) if field in ("taps", "extra") and not self.padded else None

    def declare(self) -> Declaration:
        """Declare the weight ``[d_out, d_in / groups, (taps_across,) taps]`` and the optional bias."""
        axes: dict[str, int | str] = {"in": self.d_in // self.groups, "out": self.d_out, "taps": self.taps}
        length = f"q * ms + {self.extra}" if self.extra else "q * ms"
        length = output_frames(self.span, self.chunk, self.reach) if self.span else length
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


def output_frames(span: int, chunk: int | None = None, reach: int | None = None) -> str:
    """Return an expression for the number of output rows for ``a`` audio frames, with one row per ``span`` frames.

    If ``chunk`` is set, chunks are processed separately, and the last chunk is padded. If ``reach`` is set, the
    ends are not padded.

    >>> output_frames(2), output_frames(8, 100), output_frames(20, reach=50)
    ('ceil(a, 2)', 'ceil(min(a, 100), 8) * ceil(a, 100)', 'ceil(max(0, a - 49), 20)')
    >>> output_frames(1), output_frames(1, 100), output_frames(1, reach=3)
    ('a', 'min(a, 100) * ceil(a, 100)', 'max(0, a - 2)')
    """
    frames = f"min(a, {chunk})" if chunk else f"max(0, a - {reach - 1})" if reach and reach > 1 else "a"
    once = f"ceil({frames}, {span})" if span > 1 else frames
    return f"{once} * ceil(a, {chunk})" if chunk else once
