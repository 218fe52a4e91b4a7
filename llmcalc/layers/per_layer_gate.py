"""Gate for per-layer embeddings (Gemma 3n). The gated input is projected to the width of the residual stream."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel
from .mlp import ACTIVATIONS, LEARNED

GATES = tuple(name for name in ACTIVATIONS if name not in LEARNED)


@record
class PerLayerGate(Layer):
    """Gated per-layer input: ``y = (act(x gate) · input) out``.

    Attributes:
        d_model: width of input and output.
        d_layer: width of the per-layer input.
        activation: elementwise function applied to the gate.
    """

    d_model: int
    d_layer: int
    activation: str = "gelu_tanh"

    PARALLEL: ClassVar[Parallel] = Parallel(whole="pl")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": GATES}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"layer_input": "per-layer embedding of the token"}

    def declare(self) -> Declaration:
        """Declare the gate ``[d_model, d_layer]`` and the output projection ``[d_layer, d_model]``."""
        declaration = Declaration({"d": self.d_model, "pl": self.d_layer})
        declaration.weights("gate[d | pl]", "out[pl | d]")
        declaration.equations(
            "g[b q pl] = x[b q d] gate[d pl]",
            f"g[b q pl] = {self.activation}(g)",
            "m[b q pl] = mul(g, layer_input[b q pl])",
            "y[b q d] = m[b q pl] out[pl d]",
        )
        return declaration
