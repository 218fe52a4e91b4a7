"""Attention residuals [moonshot2026k3, Section 2.2]: a layer looks back at what whole blocks of layers have added.

The residual stream holds what the running block of layers has added so far; when a block ends, its sum is put aside and
the stream begins anew. In front of each sub-layer a query, which is learned and the same for all tokens, attends to the
sums and to the stream.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class AttentionResidual(Layer):
    """``y = Σ α_i v_i, α = softmax(w · rmsnorm(v_i))``, over the sums of earlier blocks and the stream.

    Attributes:
        d_model: width of the stream.
        closes: a block of layers ends here: the stream is put beside the sums, and what comes next begins a new one.
        n_sums: sums of earlier blocks, counted where a stack is put together; 0: there is nothing to choose from, and
            the weights are stored but not used.
        norm_eps: added under the root of the norm.
    """

    d_model: int
    closes: bool = False
    n_sums: int = 1
    norm_eps: float = 1e-6

    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"n_sums"})
    GIVEN: ClassVar[dict[str, str]] = {**Layer.GIVEN, "sums": "what each earlier block has added to the stream"}

    def declare(self) -> Declaration:
        """A query ``[d_model]``, and a norm."""
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
