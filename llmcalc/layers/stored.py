"""What a checkpoint stores and no pass over text runs: the tensors of a codec, or of what makes images or speech."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record


@record
class Stored(Layer):
    """A weight that is counted, and whose work is not: a vector, a matrix, or a kernel along one to three dimensions.

    Attributes:
        d_out: its first dimension, what it gives.
        d_in: its second, of each group if channels do not mix; None: it is a vector.
        taps: of a kernel along one dimension.
        side: of a kernel along two, or one of its two sides if there are ``taps``.
        frames: that a kernel spans beside these.
        bias: a vector of ``d_out``.
        transposed: the input comes first, as in a convolution that makes more of less.
        lone: it has a name of its own, instead of being the weight of a layer.
        normed: a length for each of its first dimension, and a direction, are stored instead [salimans2016].
        statistics: means and variances beside it, which are no parameters (a norm over a batch).
        buffer: it is no parameter itself.
    """

    d_out: int
    d_in: int | None = None
    taps: int | None = None
    side: int | None = None
    frames: int | None = None
    bias: bool = False
    transposed: bool = False
    lone: bool = False
    normed: bool = False
    statistics: bool = False
    buffer: bool = False

    def __post_init__(self) -> None:
        self.check()
        kernel = self.taps or self.side or self.frames
        if self.d_in is None and (kernel or self.transposed):
            raise SizeError("a vector has no d_in, and so is neither a kernel nor transposed", where="stored")
        if self.lone and (self.bias or self.statistics or self.normed):
            raise SizeError("lone goes with neither bias nor statistics nor normed", where="stored")
        if self.normed and (self.d_in is None or self.buffer):
            raise SizeError("normed goes with a d_in, and without buffer", where="stored")

    def declare(self) -> Declaration:
        """Weight ``[d_out, d_in, frames, taps, side, side]``, as far as there are these."""
        sizes = {"out": self.d_out, "in": self.d_in, "fr": self.frames, "taps": self.taps}
        sizes |= {"px": self.side} if self.taps else {"py": self.side, "px": self.side}
        axes: dict[str, int | str] = {axis: size for axis, size in sizes.items() if size is not None}
        order = ["in", "out", *list(axes)[2:]] if self.transposed else list(axes)
        declaration = Declaration(axes)
        if self.normed:
            declaration.axes["one"] = 1
            declaration.weights(f"g[{'; '.join([order[0], *['one'] * (len(order) - 1)])}]", unused=True)
        name = "t" if self.lone else "v" if self.normed else "w"
        declaration.weights(f"{name}[{'; '.join(order)}]", unused=True, buffer=self.buffer)
        if self.bias:
            declaration.weights("b[out]", unused=True, buffer=self.buffer)
        if self.statistics:
            declaration.weights("mean[out]", "variance[out]", unused=True, buffer=True)
        return declaration
