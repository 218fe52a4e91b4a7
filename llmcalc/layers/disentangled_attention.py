"""Disentangled attention with separate content and relative position scores [he2020, Section 3.1]."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.record import record
from ..core.traits import Parallel
from ._attention_parts import MultiHead, projection


@record
class DisentangledAttention(MultiHead):
    """``softmax((q kᵀ + q rkᵀ + rq kᵀ) / sqrt(3 d_head)) v · wo``, where rk and rq are position keys and queries.

    Attributes:
        d_model: input and output width.
        n_heads: number of heads, each of width d_model / n_heads.
        n_distances: number of rows in the relative position table shared by the stack; None for no table.
        content_to_position: whether scores include products of queries and position keys.
        position_to_content: whether scores include products of keys and position queries.
        shared_projections: whether relative positions use the content projections (DeBERTa-v2).
        max_distance: largest distance for logarithmically spaced rows (DeBERTa-v2); None for linear spacing.
        distances_grow: whether only the table rows needed for the sequence length are projected (DeBERTa).
        table_norm: whether the table has a LayerNorm.
        k_bias: whether keys have a bias. Queries, values and the output always have a bias.
        position_k_bias: whether position keys have a bias. Position queries always have a bias.
        table_norm_eps: epsilon of the table norm.
        scale: scaling factor for the scores (default: 1 / sqrt(number of score terms · d_head)).
    """

    n_distances: int | None = None
    content_to_position: bool = False
    position_to_content: bool = False
    shared_projections: bool = False
    max_distance: int | None = None
    distances_grow: bool = False
    table_norm: bool = False
    k_bias: bool = True
    position_k_bias: bool = True
    table_norm_eps: float = 1e-7
    scale: float | None = None

    PARALLEL: ClassVar[Parallel] = Parallel(whole="v u")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"distances": "distance between each query and key"}
    SHRINK: ClassVar[dict[str, str]] = {"n_distances": "14 18", "max_distance": "11 13"}

    def declare(self) -> Declaration:
        """Declare the content and position projections, the position table, the scores and the output."""
        axes = self._head_axes() | {"v": self.d_model // self.n_heads}
        declaration = Declaration(axes)
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h v]", "wo[h v | d]")
        declaration.weights("bq[h e]", *(["bk[h e]"] if self.k_bias else []), "bv[h v]", "bo[d]")
        for name, width, biased in (("q", "e", True), ("k", "e", self.k_bias), ("v", "v", True)):
            declaration.equations(*projection(name, "b q", "d", f"h {width}", biased))
        declaration.equations("s[b h q k] = q[b q h e] k[b k h e]", "s[b h q k] = scale(s)")
        if self.n_distances:
            axes |= {"u": self.n_distances, "rp": "min(2 * q, u)" if self.distances_grow else "u"}
            self._positions(declaration)
        declaration.equations("p[b h q k] = softmax(s)", "o[b q h v] = p[b h q k] v[b k h v]")
        declaration.equations("y[b q d] = o[b q h v] wo[h v d]", "y[b q d] = add(y, bo)")
        return declaration

    def _positions(self, declaration: Declaration) -> None:
        unused = not (self.content_to_position or self.position_to_content)
        unused = unused and not (self.shared_projections or self.table_norm)
        declaration.weights("table[u; d]", share=".relative_table", unused=unused)
        if self.table_norm:
            declaration.weights("table_norm[d]", share=".relative_table_norm")
            declaration.weights("table_norm_b[d]", share=".relative_table_norm_b")
            declaration.equations("table[u d] = layernorm(table, table_norm, table_norm_b)")
        biased_keys = self.k_bias if self.shared_projections else self.position_k_bias
        pairs = (
            ("k", self.content_to_position, "sp[b h q rp] = q[b q h e] rk[rp h e]", biased_keys),
            ("q", self.position_to_content, "sp[b h k rp] = k[b k h e] rq[rp h e]", True),
        )
        if self.position_to_content:
            declaration.equations("kept[b q h e] = keep(k) | torch")  # the scores of the content read scaled keys
        for name, used, scores, biased in pairs:
            if not (used or self.shared_projections):
                continue
            weight, bias = (f"w{name}", f"b{name}") if self.shared_projections else (f"wr{name}", f"br{name}")
            if not self.shared_projections:
                declaration.weights(f"{weight}[d | h e]", *([f"{bias}[h e]"] if biased else []))
            lines = ["rows[rp d] = gather(table)", f"r{name}[rp h e] = rows[rp d] {weight}[d h e]"]
            lines += [f"r{name}[rp h e] = add(r{name}, {bias})"] if biased else []
            declaration.equations(*lines, tag="" if used else "nograd torch")  # the implementation projects both
            if used:  # PyTorch repeats the positions for each sequence, and saves what it gathers from
                axes = scores.partition("]")[0].partition("[")[2]
                declaration.equations(f"repeated[b rp h e] = keep(r{name}) | torch", scores)
                declaration.equations(
                    f"sp[{axes}] = keep(sp) | torch", "sp[b h q k] = gather(sp, distances)", "s[b h q k] = add(s, sp)"
                )
