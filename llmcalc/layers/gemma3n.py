"""Layers that Gemma 3n adds to a transformer: AltUp [baykal2023], LAuReL [menghani2024] and per-layer embeddings."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel
from .mlp import ACTIVATIONS


@record
class AltUp(Layer):
    """``p = s + s C(m)``, then ``p + (block(p_active) - p_active) c(m')``, where ``m = tanh(norm(s_active) router)``.

    Each block runs on one residual stream, and its output corrects the predictions for all streams.

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

    KIND: ClassVar[str] = "altup"
    PARALLEL: ClassVar[Parallel] = Parallel(whole="hs hi ht")
    ZERO_ALLOWED = frozenset({"active"})
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"block": "output of the block on the active stream"}
    SHRINK: ClassVar[dict[str, str]] = {"n_streams": "at most 4", "active": "at most 2"}

    def _complete(self) -> None:
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
            "error[b q ht d] = gather(error) | torch",  # the same error for each stream
            "y[b q ht d] = mul(e, error)",
            "y[b q ht d] = add(y, p)",
        )
        if self.output_scaled:
            declaration.equations("active[b q d] = copy(y[b q d])", "o[b q d] = mul(active, output_scale)")
        return declaration


@record
class Laurel(Layer):
    """``y = x + norm(x left right)``, a residual with a learned low-rank update.

    Attributes:
        d_model: input and output width.
        rank: rank of the update.
        norm_eps: epsilon of the norm.
    """

    d_model: int
    rank: int
    norm_eps: float = 1e-6

    KIND: ClassVar[str] = "laurel"
    PARALLEL: ClassVar[Parallel] = Parallel(whole="rank")

    def declare(self) -> Declaration:
        """Declare the low-rank weights ``[d_model, rank]`` and ``[rank, d_model]``, and the norm."""
        declaration = Declaration({"d": self.d_model, "rank": self.rank})
        declaration.weights("left[d | rank]", "right[rank | d]", "norm[d]")
        declaration.equations(
            "l[b q rank] = x[b q d] left[d rank]",
            "y[b q d] = l[b q rank] right[rank d]",
            "y[b q d] = rmsnorm(y, norm)",
            "y[b q d] = add(y, x)",
        )
        return declaration


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

    KIND: ClassVar[str] = "per_layer_table"
    PARALLEL: ClassVar[Parallel] = Parallel(vocabulary="V", whole="nl pl")
    SHRINK: ClassVar[dict[str, str]] = {"rows": "vocab 97 101 103 107"}

    def declare(self) -> Declaration:
        """Declare the table ``[rows, n_layers · d_layer]``, projection ``[d_model, n_layers · d_layer]`` and norm."""
        declaration = Declaration({"V": self.rows, "d": self.d_model, "nl": self.n_layers, "pl": self.d_layer})
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

    KIND: ClassVar[str] = "per_layer_gate"
    PARALLEL: ClassVar[Parallel] = Parallel(whole="pl")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
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
