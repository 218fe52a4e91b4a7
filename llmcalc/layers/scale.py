"""Scale factors for sub-layer outputs, residuals, and the step from the residual to the output."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from .parts.sequence import with_prompt


@record
class Scale(Layer):
    """Scaling by a factor g: ``g x`` (``output``), ``x + g r`` (``residual``) or ``r + g (x - r)`` (``step``).

    With ``of: both``, ``y = s(w) x + sqrt(s(-w) (1 + s(w))) r``, where s is the sigmoid and r is the residual. The
    squared coefficients sum to 1, and the radicand is at least 1e-3 (Muse Spark).

    Attributes:
        d_model: width of the stream.
        of: scaled quantity: ``output``, ``residual``, ``step`` from residual to output (nGPT), or ``both``.
        scalar: whether there is a single factor instead of one per channel.
        function: function applied to the factor: ``identity``, ``tanh`` (a gate that starts closed) or ``abs``.
        gain: constant multiplier of the learned factor, applied before ``function``.
        factor: constant factor that replaces the learned factor (Gemma 3n).
        stored: whether the factor is a buffer (Gemma 4).
        prompt: number of learned tokens before the sequence.
        unused: whether the factor is stored but never used.

    Raises:
        SizeError: if ``factor`` is combined with fields of a learned or stored factor.
    """

    d_model: int
    of: str = "output"
    scalar: bool = False
    function: str = "identity"
    gain: float = 1.0
    factor: float | None = None
    stored: bool = False
    prompt: int | None = None
    unused: bool = False

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"r": "residual"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "of": ("output", "residual", "step", "both"),
        "function": ("identity", "tanh", "abs"),
    }
    SHRINK: ClassVar[dict[str, str]] = {"prompt": "keep"}

    IN_ANY_BLOCK: ClassVar[bool] = False

    def _complete(self) -> None:
        super()._complete()
        if self.factor is not None and (self.scalar or self.stored or self.unused or self.function != "identity"):
            raise self.size_error("factor", "cannot be combined with scalar, stored, unused or function")
        if self.factor is not None and self.gain != 1.0:
            raise self.size_error("factor", "cannot be combined with gain")

    def declare(self) -> Declaration:
        """Declare a weight vector ``[d_model]``, a scalar weight, or a constant factor."""
        axis = "one" if self.scalar else "d"
        declaration = Declaration({"d": self.d_model, **({"one": 1} if self.scalar else {})})
        if self.prompt:
            declaration.axes |= {"pt": self.prompt, "q": with_prompt()}
        argument = "" if self.factor is not None else ", g"
        if argument:
            declaration.weights(f"w[{axis}]", buffer=self.stored, unused=self.unused)
        if self.unused:
            return declaration.only_stored()
        if argument:
            declaration.equations(f"g[{axis}] = {self.function}(w)")
        times = "mul" if argument and not self.stored else "scale"  # only a parameter has a gradient
        scaled = {
            "output": [f"y[b q d] = {times}(x{argument})"],
            "residual": [f"r[b q d] = {times}(r{argument})"],
            "step": ["y[b q d] = add(x, r)", f"y[b q d] = {times}(y{argument})"],
            "both": [f"y[b q d] = {times}(x{argument})", f"z[b q d] = {times}(r{argument})", "y[b q d] = add(y, z)"],
        }
        declaration.equations(*scaled[self.of])
        return declaration
