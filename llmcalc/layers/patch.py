"""Patch embedding layer that maps patches of an image, a video or a token grid to tokens."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import changed, record
from ..core.traits import Parallel


@record
class Patch(Layer):
    """Patch embedding ``y = Σ x[channel, frame, row, column] w + b``, summed over all values of a patch.

    Attributes:
        channels: number of channels per pixel.
        side: patch size in pixels.
        d_out: width of the tokens.
        frames: number of video frames per patch; None for images.
        bias: whether there is a bias.
        merge: number of patches that a later layer merges into each token.
        stride: stride over the token grid of a vision encoder, at most ``side``; None if the layer reads pixels.
        unused: whether the parameters are stored but never used.
    """

    channels: int
    side: int
    d_out: int
    frames: int | None = None
    bias: bool = True
    merge: int = 1
    stride: int | None = None
    unused: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(whole="out ch fr py px")
    INPUT_WIDTH: ClassVar[str] = "channels"
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {
        "channels": "3 2",
        "side": "4 5",
        "d_out": "width",
        "frames": "2 3",
        "merge stride": "keep",
    }

    def shrink_output(self, small: Patch) -> Patch:
        """Return ``small`` with the original ``side``, because the patches consist of tokens instead of pixels."""
        return changed(small, side=self.side)

    def declare(self) -> Declaration:
        """Declare the weight ``[d_out, channels, (frames,) side, side]`` and an optional bias."""
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
