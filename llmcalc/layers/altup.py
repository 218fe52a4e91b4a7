"""AltUp residual streams [baykal2023].

Each block runs on one stream, and its output corrects the predictions for all streams.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel


@record
class AltUp(Layer):
    """``p = s + s C(m)``, then ``p + (block(p_active) - p_active) c(m')``, where ``m = tanh(norm(s_active) router)``.

    Attributes:
        d_model: width of each stream.
        n_streams: number of streams.
        active: index of the stream that the blocks process.
        output_scaled: whether a learned vector scales the active stream before the per-layer input is gated.
        norm_eps: epsilon of the router's norm.
    """

    d_model: int
    n_streams: int
    output_scaled: bool = True
    active: int = 0
    norm_eps: float = 1e-6

    PARALLEL: ClassVar[Parallel] = Parallel(whole="hs hi ht")

    ZERO_ALLOWED = frozenset({"active"})
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"block": "output of the block on the active stream"}
    SHRINK: ClassVar[dict[str, str]] = {"n_streams": "at most 4", "active": "keep"}

    def __post_init__(self) -> None:
        self.check()
        if self.active >= self.n_streams:
            raise self.size_error("active", f"({self.active}) must be less than n_streams ({self.n_streams})")

    def declare(self) -> Declaration:
        """Declare the router, the prediction weights and the correction weights."""
        count = self.n_streams
        declaration = Declaration({"d": self.d_model, "hs": count, "ht": count, "hi": count})
        declaration.weights("output_scale[d]", unused=not self.output_scaled)
        declaration.weights("correct[hi | ht]", "predict[hi | ht hs]", "router[d | hi]", "router_norm[d]")
        declaration.equations(
            "a[b q d] = rmsnorm(x, router_norm)",
            "a[b q d] = scale(a)",
            "m[b q hi] = a[b q d] router[d hi]",
            "m[b q hi] = tanh(m)",
            "c[b q hs ht] = m[b q hi] predict[hi ht hs]",
            "p[b q ht d] = x[b q hs d] c[b q hs ht]",
            "p[b q ht d] = add(p, x)",
            "z[b q d] = rmsnorm(block[b q d], router_norm)",
            "z[b q d] = scale(z)",
            "n[b q hi] = z[b q d] router[d hi]",
            "n[b q hi] = tanh(n)",
            "e[b q ht] = n[b q hi] correct[hi ht]",
            "e[b q ht] = add(e)",
            "error[b q d] = add(block, p)",
            "y[b q ht d] = mul(e, error)",
            "y[b q ht d] = add(y, p)",
        )
        if self.output_scaled:
            declaration.equations("active[b q d] = copy(y[b q d])", "o[b q d] = mul(active, output_scale)")
        return declaration
