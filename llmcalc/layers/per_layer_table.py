"""Per-layer embedding table (Gemma 3n) that provides each layer with an additional input vector per token."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel


@record
class PerLayerTable(Layer):
    """Per-layer inputs ``(table[ids] + norm(x project)) / √2``, with one vector per token and layer.

    Attributes:
        rows: number of rows of the table.
        d_model: width of the residual stream.
        n_layers: number of layers with a per-layer input.
        d_layer: width of the per-layer input.
        norm_eps: epsilon of the norm.
    """

    rows: int
    d_model: int
    n_layers: int
    d_layer: int
    norm_eps: float = 1e-6

    PARALLEL: ClassVar[Parallel] = Parallel(vocabulary="V", whole="nl pl")
    SHRINK: ClassVar[dict[str, str]] = {"rows": "vocab 97 101 103 107"}

    def declare(self) -> Declaration:
        """Declare the table ``[rows, n_layers · d_layer]``, projection ``[d_model, n_layers · d_layer]`` and norm."""
        axes: dict[str, int | str] = {"V": self.rows, "d": self.d_model, "nl": self.n_layers, "pl": self.d_layer}
        declaration = Declaration(axes)
        declaration.weights("w[V; nl pl]", table="other")
        declaration.weights("project[d | nl pl]", "norm[pl]")
        declaration.equations(
            "t[b q nl pl] = gather(w, ids)",
            "t[b q nl pl] = scale(t)",
            "p[b q nl pl] = x[b q d] project[d nl pl]",
            "p[b q nl pl] = scale(p)",
            "p[b q nl pl] = rmsnorm(p, norm)",
            "y[b q nl pl] = add(p, t)",
            "y[b q nl pl] = scale(y)",
            "stream[b q d] = copy(x)",
        )
        return declaration
