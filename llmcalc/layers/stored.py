"""Tensors that a text-only forward pass never uses, such as the weights of an audio codec or image decoder."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel


@record
class Stored(Layer):
    """Weight that is stored but never used. It is a vector, a matrix or a kernel with one to three dimensions.

    Attributes:
        d_out: output dimension, stored first.
        d_in: input dimension per group; None for a vector.
        taps: size of a one-dimensional kernel.
        side: side length of a two-dimensional kernel, or size of the second dimension if ``taps`` is set.
        frames: size of the time dimension of a kernel.
        bias: whether there is a bias of size ``d_out``.
        transposed: whether the input dimension is stored first, as in a transposed convolution.
        bare: whether the tensor is a standalone parameter instead of a module's weight.
        normed: whether magnitude and direction are stored separately (weight normalisation) [salimans2016].
        statistics: whether a running mean and variance are stored as buffers (batch normalisation).
        buffer: whether the tensor is a buffer.
    """

    d_out: int
    d_in: int | None = None
    taps: int | None = None
    side: int | None = None
    frames: int | None = None
    bias: bool = False
    transposed: bool = False
    bare: bool = False
    normed: bool = False
    statistics: bool = False
    buffer: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(whole="in out fr py px taps")
    INPUT_WIDTH: ClassVar[str] = "d_in"
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {"d_out d_in": "width", "taps": "at most 5", "side": "4 5", "frames": "2 3"}

    def _complete(self) -> None:
        kernel = self.taps or self.side or self.frames
        if self.d_in is None and (kernel or self.transposed):
            raise SizeError("taps, side, frames and transposed require d_in", field="taps", where="stored")
        if self.bare and (self.bias or self.statistics or self.normed):
            raise self.size_error("bare", "cannot be combined with bias, statistics or normed")
        if self.normed and (self.d_in is None or self.buffer):
            raise self.size_error("normed", "requires d_in and cannot be combined with buffer")

    def declare(self) -> Declaration:
        """Declare the weight ``[d_out, d_in, frames, taps, side, side]``, omitting unset dimensions."""
        sizes = {"out": self.d_out, "in": self.d_in, "fr": self.frames, "taps": self.taps}
        sizes |= {"px": self.side} if self.taps else {"py": self.side, "px": self.side}
        axes: dict[str, int | str] = {axis: size for axis, size in sizes.items() if size is not None}
        order = ["in", "out", *list(axes)[2:]] if self.transposed else list(axes)
        declaration = Declaration(axes)
        if self.normed:
            declaration.axes["one"] = 1
            declaration.weights(f"g[{'; '.join([order[0], *['one'] * (len(order) - 1)])}]", unused=True)
        name = "t" if self.bare else "v" if self.normed else "w"
        declaration.weights(f"{name}[{'; '.join(order)}]", unused=True, buffer=self.buffer)
        if self.bias:
            declaration.weights("b[out]", unused=True, buffer=self.buffer)
        if self.statistics:
            declaration.weights("mean[out]", "variance[out]", unused=True, buffer=True)
        return declaration
