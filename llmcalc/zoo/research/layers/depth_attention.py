"""Attention over depth (Inkling 2) [tml2026]. Each layer mixes the summed outputs of earlier layer groups."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel


@record
class DepthAttention(Layer):
    """``y_i = Σ_n softmax(query_i · norm(z_n) / sqrt(d_model)) norm(z_n)`` over the layer group sums ``z``.

    Attributes:
        d_model: width of the stream.
        n_states: number of layer group sums, including the current group.
        n_reads: number of learned queries; each query produces one mix (1, or 3 for queries, keys and values).
        n_layers: number of layers whose queries are stored in one tensor; None: one tensor per layer.
        closes: whether a layer group ends before the preceding sub-layer. If so, the group sum is stored.
        gate_rank: rank of the gates that mix the output with messages from the previous pass; None: no gates.
        n_gates: number of gates, one per use of the output.
        gates_run: whether the gates run. Gates can run only after a previous pass.
        norm_eps: epsilon of the norms.
        unused: whether the layer is stored but never run.
    """

    d_model: int
    n_states: int
    n_reads: int = 1
    n_layers: int | None = None
    closes: bool = False
    gate_rank: int | None = None
    n_gates: int = 1
    gates_run: bool = True
    norm_eps: float = 1e-6
    unused: bool = False

    AXES: ClassVar[str] = """
    zn  n_states  layer-group sums that a token attends to
    nq  n_reads   learned queries that attend over depth
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="rank in nq nl")
    IN_ANY_BLOCK: ClassVar[bool] = False
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "states": "the sums of earlier layer groups and of the current group",
        "read": "the input of a gate",
        "message": "the message of the previous pass to this layer",
    }
    READS_EARLIER_LAYERS: ClassVar[bool] = True
    SHRINK: ClassVar[dict[str, str]] = {"n_states n_reads n_gates": "keep"}

    def ends_group(self) -> bool:
        """Return whether the stream is stored as a layer group sum."""
        return self.closes

    def declare(self) -> Declaration:
        """Declare the queries ``[n_reads, d_model]``, the scores and mixes per token, and the gates."""
        axes: dict[str, int | str] = {"d": self.d_model, "zn": self.n_states, "nq": self.n_reads}
        declaration = Declaration(axes)
        is_table = self.n_reads > 1 or self.n_layers
        own, rows = ("nq d", "b q nq") if is_table else ("d", "b q")
        if self.n_layers:
            axes["nl"] = self.n_layers
            declaration.weights("query[nl; nq; d]", share=".depth_queries")
        else:
            declaration.weights("query[nq; d]" if is_table else "query[d]")
        declaration.equations(
            "z[b q zn d] = rmsnorm(states[b q zn d])",
            f"s[{rows} zn] = query[{own}] z[b q zn d]",
            f"s[{rows} zn] = scale(s)",
            f"p[{rows} zn] = softmax(s)",
            f"y[{rows} d] = p[{rows} zn] z[b q zn d]",
        )
        for number in range(self.n_gates if self.gate_rank else 0):
            self._add_gate(declaration, number)
        return declaration.only_stored() if self.unused else declaration

    def _add_gate(self, declaration: Declaration, number: int) -> None:
        """Add ``(1 - tanh(c wf)) read + tanh(c wm) message``, where ``c`` is a low-rank projection of both inputs."""
        declaration.axes |= {"rank": int(self.gate_rank or 0), "in": 2 * self.d_model}
        down, forget, take = (f"{name}{number}" for name in ("w_down", "w_forget", "w_message"))
        declaration.weights(f"{down}[in | rank]", f"{forget}[rank | d]", f"{take}[rank | d]", unused=not self.gates_run)
        if self.gates_run:
            declaration.equations(
                "both[b q in] = rmsnorm(read, message)",
                f"c[b q rank] = both[b q in] {down}[in rank]",
                f"f[b q d] = c[b q rank] {forget}[rank d]",
                "f[b q d] = tanh(f)",
                f"m[b q d] = c[b q rank] {take}[rank d]",
                "m[b q d] = tanh(m)",
                "f[b q d] = mul(f, read)",
                "m[b q d] = mul(m, message)",
                "y[b q d] = add(f, m)",
            )
