"""Compressed attention to recent tokens and to summaries of all tokens [deepseek2026v4, Section 2.3].

All heads share a single key that also serves as the value. The output projection is grouped and low-rank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import record
from ..core.traits import Parallel, Roles, Stored
from .parts.rope import Rope, fit_rope

if TYPE_CHECKING:
    from ..core.shrink import Sizes


@record
class CompressedAttention(Layer):
    """``y = (softmax(q [kv, summaries]ᵀ) [kv, summaries]) wo_a wo_b``.

    Attributes:
        d_model: input and output width.
        n_heads: number of query heads.
        d_head: width of each query head, key and summary.
        q_lora_rank: width of the query latent.
        window: window size in tokens, including the query token.
        n_groups: number of groups of the output projection; must divide n_heads · d_head.
        o_lora_rank: rank of the output projection in each group.
        rate: number of tokens per summary; None for no summaries.
        overlap: whether a summary also covers the previous group, which doubles the projection width.
        index_heads: number of indexer heads; None to attend to all summaries.
        index_dim: width of each indexer head.
        index_topk: number of selected summaries per query.
        rope: rotary positions applied to the end of each head and indexer head (default: interleaved pairs).
        norm_eps: epsilon of the norms.
    """

    d_model: int
    n_heads: int
    d_head: int
    q_lora_rank: int
    window: int
    n_groups: int
    o_lora_rank: int
    rate: int | None = None
    overlap: bool = False
    index_heads: int | None = None
    index_dim: int = 128
    index_topk: int | None = None
    rope: Rope = Rope(interleaved=True)
    norm_eps: float = 1e-6

    AXES: ClassVar[str] = """
    oi  d_group             concatenated width of the heads of a group
    or  o_lora_rank         rank of the output projection
    cw  d_compressed        width of the projections to summarise
    kc  n_summaries         summaries of the tokens so far
    ks  n_chosen            summaries that a query attends to
    qu  n_summarised_new    number of new tokens if a summary exists, else 0
    qx  n_unsummarised_new  number of new tokens if no summary exists yet, else 0
    ov  n_overlap           cached tokens of the last summary that the next summary also covers
    sw  n_summed            tokens covered by one summary
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", replicated="G", whole="e Q oi or cw ih ie cr")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head", windows="window")
    STORED: ClassVar[Stored] = Stored(latents="ckv", pending="pending_kv pending_gate before_kv before_gate")
    SHRINK: ClassVar[dict[str, str]] = {"window": "7 11 13 5", "rate": "3 2", "index_topk": "4"}
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"rope": (Rope,)}

    def _complete(self) -> None:
        fit_rope(self, "d_head", *(["index_dim"] if self.index_heads else []))
        if self.n_heads * self.d_head % self.n_groups:
            problem = f"({self.n_groups}) does not divide n_heads · d_head"
            raise self.size_error("n_groups", problem, divides="n_heads")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return an even head width and matching rotary positions for the small test model."""
        from ._small_sizes import shrink_rope, shrink_rotated_head  # needed only by tests

        head = shrink_rotated_head(self, sizes)
        return {"d_head": head, "rope": shrink_rope(self, small.get("rope"), head, self.d_head)}

    def declare(self) -> Declaration:
        """Declare low-rank queries, one key, summaries, scores, weighted values and the grouped output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_head, "Q": self.q_lora_rank}
        axes |= {"G": self.n_groups, "oi": self.n_heads * self.d_head // self.n_groups, "or": self.o_lora_rank}
        axes |= {"w": self.window, "k": "min(c, w - 1) + q", "t": "min(c + q, w - 1)"}
        declaration = Declaration(axes)
        declaration.mask = f"window:{self.window}"
        declaration.weights("wqa[d | Q]", "q_norm[Q]", "wqb[Q | h e]", "wkv[d | e]", "kv_norm[e]", "sinks[h]")
        declaration.weights("woa[G; oi | or]", "wob[G or | d]")
        declaration.equations(*_PROJECT)
        if self.rate:
            _add_summaries(declaration, "", self.rate, self.d_head, "e", self.overlap)
            if self.index_heads:
                declaration.include("indexer", self._indexer())
            summaries = declaration.axes["kc"]
            is_limited = self.index_topk and self.index_heads
            declaration.axes["ks"] = f"min({summaries}, {self.index_topk})" if is_limited else summaries
            declaration.as_torch["ks"] = summaries
        declaration.equations(*_ATTEND)
        declaration.equations(*(_SUMMARIES if self.rate else []), *_OUTPUT)
        declaration.state("kv[b t e]")
        if not self.rate:  # the implementation caches keys and values separately
            declaration.state("kv_again[b t e]", "kv", "torch")
        return declaration

    def _indexer(self) -> Declaration:
        axes: dict[str, int | str] = {"d": self.d_model, "Q": self.q_lora_rank, "ih": self.index_heads or 0}
        declaration = Declaration(axes | {"ie": self.index_dim})
        declaration.weights("wq[Q | ih ie]", "ww[d | ih]")
        _add_summaries(declaration, "nograd", self.rate or 1, self.index_dim, "ie", overlap=True)
        declaration.equations("iq[b q ih ie] = cq[b q Q] wq[Q ih ie] | nograd", "iq[b q ih ie] = rope(iq) | nograd")
        declaration.equations("score[b ih q kc] = iq[b q ih ie] ckv[b kc ie] | nograd")
        declaration.equations("score[b ih q kc] = relu(score) | nograd", "weight[b q ih] = x[b q d] ww[d ih] | nograd")
        declaration.equations("score[b ih q kc] = mul(score, weight) | nograd", "total[b q kc] = add(score) | nograd")
        declaration.equations("chosen[b q kc] = top_k(total) | nograd")
        return declaration


def _add_summaries(declaration: Declaration, tag: str, rate: int, width: int, axis: str, overlap: bool) -> None:
    """Add keys and gates for all tokens, one summary per ``rate`` tokens, and a cache for the incomplete group."""
    summaries = "ceil(c + q - cr + 1, cr)"
    declaration.axes |= {axis: width, "cr": rate, "kc": summaries, "tr": "mod(c + q, cr)"}
    declaration.axes |= {"cw": 2 * width if overlap else width, "sw": 2 * rate if overlap else rate}
    declaration.axes |= {"qu": f"q * min({summaries}, 1)", "qx": f"q - q * min({summaries}, 1)"}
    declaration.axes["ov"] = f"min({summaries}, 1) * cr"
    declaration.weights("wckv[d | cw]", "wcgate[d | cw]", "position_bias[cr; cw]", f"c_norm[{axis}]")
    lines = []
    for name, weight in (("tkv", "wckv"), ("tgate", "wcgate")):
        lines.append(f"{name}[b qx cw] = x[b qx d] {weight}[d cw]" + ("" if tag else " | nograd"))
        lines.append(f"{name}[b qu cw] = x[b qu d] {weight}[d cw]")
    lines += [
        "tgate[b q cw] = add(tgate, position_bias)",
        f"tgate[b kc sw {axis}] = copy(tgate)",
        f"tkv[b kc sw {axis}] = copy(tkv)",
        f"tgate[b kc sw {axis}] = softmax(tgate)",
        f"tkv[b kc sw {axis}] = mul(tkv, tgate)",
        f"ckv[b kc {axis}] = add(tkv)",
        f"ckv[b kc {axis}] = rmsnorm(ckv, c_norm)",
        f"ckv[b kc {axis}] = rope(ckv)",
    ]
    declaration.equations(*lines, tag=tag)
    if overlap:
        declaration.halos |= {"tkv": ("cr", axis), "tgate": ("cr", axis)}  # the tokens of the previous summary
    states = [f"ckv[b kc {axis}]", "pending_kv[b tr cw]", "pending_gate[b tr cw]"]
    states += [f"before_kv[b ov {axis}]", f"before_gate[b ov {axis}]"] if overlap else []
    for state in states:
        declaration.state(state, "index" if axis == "ie" else "kv")


_PROJECT = [
    "cq[b q Q] = x[b q d] wqa[d Q]",
    "cq[b q Q] = rmsnorm(cq, q_norm)",
    "q[b q h e] = cq[b q Q] wqb[Q h e]",
    "q[b q h e] = rmsnorm(q)",
    "q[b q h e] = rope(q)",
    "kv[b q e] = x[b q d] wkv[d e]",
    "kv[b q e] = rmsnorm(kv, kv_norm)",
    "kv[b q e] = rope(kv)",
]
_ATTEND = [
    "s[b h q k] = q[b q h e] kv[b k e] | core",
    "s[b h q k] = scale(s) | core",
    "p[b h q k] = softmax(s, sinks) | core",
    "p[b h q k] = dropout(p) | core dropout",
    "o[b q h e] = p[b h q k] kv[b k e] | core",
    "statistics[b h q] = log_sum_exp(o) | flash",
]
_SUMMARIES = [
    "sc[b h q ks] = q[b q h e] ckv[b ks e] | core",
    "sc[b h q ks] = scale(sc) | core",
    "pc[b h q ks] = softmax(sc) | core",
    "oc[b q h e] = pc[b h q ks] ckv[b ks e] | core",
    "o[b q h e] = add(o, oc)",
]
_OUTPUT = [
    "o[b q h e] = rope(o)",
    "og[b q G oi] = copy(o)",
    "oa[b q G or] = og[b q G oi] woa[G oi or]",
    "y[b q d] = oa[b q G or] wob[G or d]",
]
