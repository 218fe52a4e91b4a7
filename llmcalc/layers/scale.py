"""A factor on a sub-layer's result, on the stream that it is added to, or on the step between them."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record


@record
class Scale(Layer):
    """``y = g x``; of the ``residual``: ``x + g r``; of the ``step``: ``r + g (x - r)``, with the residual stream r.

    Of ``both``: ``s(w) x + sqrt(s(-w) (1 + s(w))) r`` with the sigmoid s, so that squares sum to 1; the latter is 1e-3
    at least under its root (Muse Spark).

    Attributes:
        d_model: width of the stream.
        of: what is scaled: the ``output``, the ``residual``, the ``step`` from it to the output (nGPT), or ``both``.
        lone: one number instead of one a channel.
        function: what the factor goes through: ``identity``, ``tanh`` (a gate that begins closed) or ``abs``.
        gain: constant that a learned factor is multiplied by before that.
        factor: the factor, if it is a constant instead of learned (Gemma 3n).
        stored: it is stored beside the parameters, as a buffer (Gemma 4).
        prompt: it also runs on this many learned tokens before the sequence.
        unused: stored, but never run.

    Raises:
        SizeError: a constant that is learned or stored at the same time.
    """

    d_model: int
    of: str = "output"
    lone: bool = False
    function: str = "identity"
    gain: float = 1.0
    factor: float | None = None
    stored: bool = False
    prompt: int | None = None
    unused: bool = False

    GIVEN: ClassVar[dict[str, str]] = {**Layer.GIVEN, "r": "the residual stream"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "of": ("output", "residual", "step", "both"),
        "function": ("identity", "tanh", "abs"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factor is not None and (self.lone or self.stored or self.unused or self.function != "identity"):
            raise SizeError("factor is a constant: nothing is stored, or has a function", where="scale")
        if self.factor is not None and self.gain != 1.0:
            raise SizeError("factor is a constant, and has no gain", where="scale")

    def declare(self) -> Declaration:
        """A vector ``[d_model]``, one number, or a constant."""
        axis = "one" if self.lone else "d"
        declaration = Declaration({"d": self.d_model, **({"one": 1} if self.lone else {})})
        if self.prompt:
            declaration.axes |= {"pt": self.prompt, "q": "q + max(0, 1 - c) * min(q, 1) * pt"}
        given = "" if self.factor is not None else ", g"
        if given:
            declaration.weights(f"w[{axis}]", buffer=self.stored, unused=self.unused)
        if self.unused:
            return declaration
        if given:
            declaration.equations(f"g[{axis}] = {self.function}(w)")
        times = "mul" if given and not self.stored else "scale"  # what is no parameter has no gradient
        scaled = {
            "output": [f"y[b q d] = {times}(x{given})"],
            "residual": [f"r[b q d] = {times}(r{given})"],
            "step": ["y[b q d] = add(x, r)", f"y[b q d] = {times}(y{given})"],
            "both": [f"y[b q d] = {times}(x{given})", f"z[b q d] = {times}(r{given})", "y[b q d] = add(y, z)"],
        }
        declaration.equations(*scaled[self.of])
        return declaration
