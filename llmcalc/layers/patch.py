"""Patches of an image or a film become tokens, and patches of tokens fewer tokens: a convolution over a grid."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class Patch(Layer):
    """``y = Σ x[channel, frame, row, column] w + b`` over the values of a patch.

    Attributes:
        channels: values of a pixel.
        side: pixels along each side of a patch.
        d_out: width of the tokens.
        frames: frames that a patch spans; None: an image has none.
        bias: whether there is a bias.
        merge: so many patches of a grid have become one token behind it.
        stride: it reads the tokens of a tower's grid, and steps over so many of them along each side; a patch may be
            larger than that, so that patches overlap. None: it reads data, to which no gradient flows.
        unused: stored, but never run (no image stands beside the text).
    """

    channels: int
    side: int
    d_out: int
    frames: int | None = None
    bias: bool = True
    merge: int = 1
    stride: int | None = None
    unused: bool = False

    def declare(self) -> Declaration:
        """Weight ``[d_out, channels, frames, side, side]``, or without frames."""
        declaration = Declaration({"out": self.d_out, "ch": self.channels, "py": self.side, "px": self.side})
        inner = "ch py px"
        if self.frames:
            declaration.axes["fr"] = self.frames
            inner = "ch fr py px"
        if self.merge > 1:
            declaration.axes["q"] = f"ceil(q, {self.merge})"
        declaration.weights(f"w[out; {inner.replace(' ', '; ')}]")
        if self.stride:
            declaration.axes["rows"] = f"ceil(q, {max(self.merge // self.stride**2, 1)})"
            declaration.equations(f"y[b q out] = x[b rows ch] w[out {inner}] | rows:q")
        else:
            declaration.equations(f"y[b q out] = x[b q {inner}] w[out {inner}] | constant")
        if self.bias:
            declaration.weights("b[out]")
            declaration.equations("y[b q out] = add(y, b)")
        return declaration.only_stored() if self.unused else declaration
