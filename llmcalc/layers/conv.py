"""Convolution along tokens or over a spectrogram, as used at the input of an audio encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from ..core.declaration import Declaration
from ..core.description.part_family import PartFamily
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import changed, record
from ..core.traits import Parallel, Roles
from .mlp import ACTIVATIONS

if TYPE_CHECKING:
    from ..core.shrink import Sizes
    from .parts.frames import Frames
    from .parts.frequencies import Frequencies

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
        frames: audio frames per output row, in place of tokens.
        overrun: number of output rows that the implementation computes and discards.
        frequencies: frequency axis that the convolution also covers.
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
    frames: Frames | None = None
    overrun: int = 0
    frequencies: Frequencies | None = None

    AXES: ClassVar[str] = """
    half  d_out / 2      output channels of a gated convolution
    tf    n_taps_across  taps of a convolution along the frequency axis
    rw    n_output_rows  output positions of a convolution along the frequency axis
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="in out taps tf")
    ROLES: ClassVar[Roles] = Roles(chunks="frames.chunk")
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
    }
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {
        "frames": PartFamily("parts", "frames"),
        "frequencies": PartFamily("parts", "frequencies"),
    }

    def _complete(self) -> None:
        self.must_divide("groups", "d_in")
        self.must_divide("groups", "d_out")
        if self.gated and self.d_out % HALVES:
            raise self.size_error("d_out", f"must be even when gated is set, not {self.d_out}")
        if self.gated and self.normed:
            raise self.size_error("gated", "and normed cannot be combined")
        if self.frames and (self.upsample > 1 or self.stride > 1 or self.extra):
            raise self.size_error("frames", "cannot be combined with upsample, stride or extra")
        if not self.padded and (self.frames or self.frequencies):
            raise SizeError("padded: false cannot be combined with frames or frequencies", field="padded", where="conv")
        if self.frequencies and (self.gated or self.normed):
            raise self.size_error("frequencies", "cannot be combined with gated or normed")
        if self.frequencies and self.frequencies.taps is None:
            object.__setattr__(self, "frequencies", changed(self.frequencies, taps=self.taps))

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
        length = self.frames.positions() if self.frames else length
        declaration = Declaration({**axes, "ms": self.upsample, "qs": length})
        declaration.axes |= {"half": self.d_out // HALVES} if self.gated else {}
        if self.overrun:
            declaration.as_torch["qs"] = f"{length} + min(q, 1) * {self.overrun}"
        across, kernel = (" rw", " tf") if self.frequencies else ("", "")
        if self.frequencies:
            declaration.axes |= {"rw": self.frequencies.bins, "tf": self.frequencies.taps or self.taps}
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
