"""Attention residuals over the summed outputs of earlier layer groups [moonshot2026k3, Section 2.2].

The residual stream accumulates the outputs of the current group. At the end of a group, the sum is stored and a
new stream starts. Before each sub-layer, a learned query attends to the stored sums and the current stream.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import changed, record


@record
class AttentionResidual(Layer):
    """Weighted sum ``y = Σ α_i v_i`` of earlier group sums and the stream, where ``α = softmax(w · rmsnorm(v_i))``.

    Attributes:
        d_model: width of the stream.
        closes: whether the stream is stored as a group sum and a new stream starts.
        n_sums: number of earlier groups, set when the stack is built. If 0, the weights are stored but unused.
        norm_eps: epsilon of the norm.
    """

    d_model: int
    closes: bool = False
    n_sums: int = 1
    norm_eps: float = 1e-6

    AXES: ClassVar[str] = """
    rs  n_sums  sums of earlier layer groups, plus the residual stream
    """
    COUNTS_SUMS: ClassVar[bool] = True
    IN_ANY_BLOCK: ClassVar[bool] = False
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"n_sums"})
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"sums": "summed outputs of each earlier group"}
    SHRINK: ClassVar[dict[str, str]] = {"n_sums": "keep"}

    def ends_group(self) -> bool:
        """Return whether a layer group ends here and the stream is stored as the group's sum."""
        return self.closes

    def with_sums(self, n_sums: int) -> AttentionResidual:
        """Return the layer with ``n_sums`` earlier groups."""
        return changed(self, n_sums=n_sums)

    def declare(self) -> Declaration:
        """Declare the query ``[d_model]`` and the norm."""
        declaration = Declaration({"d": self.d_model})
        declaration.weights("norm[d]", "w[d |]", unused=not self.n_sums)
        if self.n_sums:
            declaration.axes["rs"] = self.n_sums + 1
            declaration.equations(
                "v[b q rs d] = copy(sums, x)",
                "n[b q rs d] = rmsnorm(v, norm)",
                "s[b q rs] = n[b q rs d] w[d]",
                "p[b q rs] = softmax(s)",
                "y[b q d] = p[b q rs] v[b q rs d]",
            )
        return declaration
