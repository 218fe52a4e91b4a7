"""Multi-head, grouped-query [ainslie2023] and multi-query [shazeer2019] attention [vaswani2017, Section 3.2].

Options include sliding windows [beltagy2020], relative biases [raffel2019], cross-attention, sinks and gates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import changed, record
from ..core.traits import Parallel, Roles
from ._attention_parts import (
    HEADS,
    add_kv_cache,
    add_lora,
    add_softmax,
    contradictions,
    derive_head_width,
    include_indexer,
    token_axes,
)
from .parts.gate import Gate
from .parts.rope import Rope, fit_rope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..core.shrink import Sizes


@record
class Attention(Layer):
    """Multi-head attention ``y = softmax(q kᵀ / sqrt(d_head)) v · wo``.

    Attributes:
        d_model: input and output width.
        n_heads: number of query heads.
        n_kv_heads: number of key and value heads (default: n_heads); must divide n_heads.
        d_head: width of each query and key head (default: d_model / n_heads).
        d_head_v: width of each value head (default: d_head).
        q_bias, k_bias, v_bias, o_bias: whether the query, key, value and output projections have biases.
        qk_norm: QK norm: ``none``, ``head``, ``per_head`` (separate weights) or ``projection`` (full width).
        qk_norm_function, qk_norm_scale, qk_norm_bias, qk_norm_eps, qk_norm_unit_offset: as in ``norm``.
        qk_norm_late: whether queries and keys are normalised after the rotation.
        score_bias: position biases of the scores: ``none``, ``alibi``, ``relative`` (one learned bias per bucket),
            ``projected`` (projected sinusoids; Transformer-XL), or ``distances`` (learned vectors [shaw2018]).
            ``positions`` is a short form for this field or, with the value ``rope``, for default rotary positions.
        alibi_scale: scaling factor for the ALiBi biases (Falcon: the score scale).
        rope: rotary positions of queries and keys.
        n_buckets: number of relative position buckets.
        max_distance: distance in tokens at which the last bucket starts.
        relative_shared: whether all layers of the stack share the bias table, as in T5.
        causal: whether later tokens are masked.
        window: window size in tokens, including the query token (on each side if not causal).
        window_ahead: window size for later tokens, including the query token, if different from ``window``.
        chunk: chunk length in tokens. Attention is restricted to tokens in the same chunk.
        cross: whether keys and values come from the encoder.
        d_source: encoder output width (default: d_model).
        d_input: input width, if different from d_model (Zamba concatenates the residual stream and the embeddings).
        d_input_v: input width of the value projection, if different (MobileBERT).
        values_of: name of the sub-layer whose input stream is also the value projection input.
        adapter_rank: rank of LoRA adapters on queries, keys and values.
        n_adapters: number of adapters, one per use of a shared layer (Zamba2).
        index_heads: number of heads of the indexer that selects tokens; None for no indexer.
        index_dim: width of each indexer head (default: d_head).
        index_block: number of tokens per selectable block.
        index_pooled: whether blocks are scored by their mean key.
        index_local: number of most recent blocks that are always selected, including the query's block.
        index_unit_offset: whether the indexer norm weights are stored as ``w - 1``.
        index_topk: number of selected tokens per query.
        clip: clamping bound for queries, keys and values (OLMo, DBRX).
        gate: gate on the head outputs.
        sinks: whether each head has a learned sink logit in the softmax (gpt-oss).
        prompt: number of learned tokens before the sequence. No causal mask applies among these tokens (CPM-Ant).
        prefix: number of learned key/value pairs that a ``prefix`` layer adds for every query.
        exclusive: whether each head subtracts a learned fraction of its component along the token's value (NeoMME).
        values_are_keys: whether keys also serve as values, without a value projection.
        kv_reused: whether the layer has no cache and uses the keys and values of an earlier layer (Gemma 3n).
        v_rope: whether values are also rotated (RoFormer).
        v_norm: whether each value head has an unweighted norm.
        head_norm: whether each head output has an unweighted RMSNorm before the gate (Muse Spark).
        o_norm: whether there is a norm over all heads before the output projection (BitNet).
        o_norm_function: function of the output norm. ``layernorm`` includes a bias (KOSMOS-2).
        implemented_cache: implementation's cache layout: ``compact``, ``all_tokens`` (ignores the window; GPT-Neo),
            ``query_heads`` (repeated keys and values; Falcon), or ``none`` (cached by a later run).
        logit_softcap: soft-cap bound for the scores (Gemma 2).
        scale: scaling factor for the scores (default: 1 / sqrt(d_head)).
        value_scale: scaling factor for the values (MiMo).
        in_scale, out_scale: scaling factors for the input and the output (Falcon-H1).
        temperature: factor in the query scale ``1 + temperature · ln(1 + floor((position + start) / length))``.
        temperature_law: ``log`` (as above) or ``power`` (``(1 + (position + start) / length)^temperature``; Beam).
        temperature_length: ``length`` in the query scale.
        temperature_start: ``start`` in the query scale (0 in Ministral 3, otherwise 1).
        softmax_in_fp32: whether the implementation computes the softmax in fp32 (affects memory only).
        streams: number of copies of each token among the cross-attention queries (ProphetNet).
        merge: number of tokens merged into each position.
        unused: whether the layer is stored but never run.
    """

    d_model: int
    n_heads: int
    n_kv_heads: int | None = None
    d_head: int | None = None
    d_head_v: int | None = None
    q_bias: bool = False
    k_bias: bool = False
    v_bias: bool = False
    o_bias: bool = False
    qk_norm: str = "none"
    qk_norm_function: str = "rmsnorm"
    qk_norm_scale: bool = True
    qk_norm_bias: bool = False
    qk_norm_eps: float = 1e-6
    qk_norm_unit_offset: bool = False
    qk_norm_late: bool = False
    score_bias: str = "none"
    alibi_scale: float = 1.0
    rope: Rope | None = None
    n_buckets: int | None = None
    max_distance: int = 128
    relative_shared: bool = True
    causal: bool = True
    window: int | None = None
    window_ahead: int | None = None
    chunk: int | None = None
    cross: bool = False
    d_source: int | None = None
    d_input: int | None = None
    d_input_v: int | None = None
    values_of: str = ""
    adapter_rank: int | None = None
    n_adapters: int = 1
    index_heads: int | None = None
    index_dim: int | None = None
    index_block: int = 1
    index_pooled: bool = False
    index_local: int = 0
    index_unit_offset: bool = False
    index_topk: int | None = None
    clip: float | None = None
    gate: Gate | None = None
    sinks: bool = False
    prompt: int | None = None
    prefix: int | None = None
    exclusive: bool = False
    values_are_keys: bool = False
    kv_reused: bool = False
    v_rope: bool = False
    v_norm: bool = False
    head_norm: bool = False
    o_norm: bool = False
    o_norm_function: str = "rmsnorm"
    implemented_cache: str = "compact"
    logit_softcap: float | None = None
    scale: float | None = None
    value_scale: float = 1.0
    in_scale: float = 1.0
    out_scale: float = 1.0
    temperature: float = 0.0
    temperature_law: str = "log"
    temperature_length: int = 8192
    temperature_start: int = 1
    softmax_in_fp32: bool = False
    streams: int = 1
    merge: int = 1
    unused: bool = False

    AXES: ClassVar[str] = """
    iv  d_input_v  width of the input of the value projection
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", replicated="g", whole="ar na in e v u iv src")
    ROLES: ClassVar[Roles] = Roles(
        heads="n_heads", kv_heads="n_kv_heads", head_widths="d_head d_head_v", windows="window", chunks="chunk"
    )
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"temperature_start", "index_local"})
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "qk_norm": ("none", "head", "per_head", "projection"),
        "qk_norm_function": ("rmsnorm", "layernorm", "l2norm"),
        "o_norm_function": ("rmsnorm", "layernorm"),
        "score_bias": ("none", "alibi", "relative", "projected", "distances"),
        "temperature_law": ("log", "power"),
        "implemented_cache": ("compact", "all_tokens", "query_heads", "none"),
    }
    HEADS_TOGETHER: ClassVar[int] = 1  # heads come in multiples of this number
    SHRINK: ClassVar[dict[str, str]] = {
        "n_kv_heads": "3 2 5 7",
        "n_buckets": "10 12 14",
        "max_distance": "always 11 13",
        "window": "7 11 13 5",
        "window_ahead": "4 3",
        "chunk": "5 3",
        "d_source d_input d_input_v": "width",
        "n_adapters index_local prompt streams merge": "keep",
        "index_block": "2",
        "index_topk": "4",
        "temperature_length": "always 5 3 if temperature",
    }
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"rope": (Rope,), "gate": (Gate,)}

    def __post_init__(self) -> None:
        self.check()
        self.derive(n_kv_heads=self.n_heads)
        self.must_divide("n_kv_heads", "n_heads")
        derive_head_width(self)
        self.derive(index_dim=self.d_head, d_head_v=self.d_head, d_source=self.d_model)
        fit_rope(self, "d_head")
        if self.gate and self.gate.bias is None:
            bias = ("head" if self.gate.per_head else "value") if self.q_bias else "none"
            object.__setattr__(self, "gate", changed(self.gate, bias=bias))
        for field, problem in contradictions(self):
            raise self.size_error(field, problem)

    def component(self) -> str:
        """Return ``cross-attention`` if keys and values come from an encoder, or the default component otherwise."""
        return "cross-attention" if self.cross else super().component()

    def has_order(self) -> bool:
        """Return whether the layer encodes positions or has parameters that depend on the token order."""
        return self.rope is not None or self.score_bias != "none" or super().has_order()

    def attention_direction(self) -> str:
        """Return ``causal`` or ``both`` for self-attention, or an empty string for cross-attention."""
        return "" if self.cross else "causal" if self.causal else "both"

    def idle_parameters(self) -> Iterator[tuple[str, str, int]]:
        """Yield the key bias if the softmax cancels it because it shifts all scores of a query equally."""
        if self.k_bias and self.qk_norm == "none" and not (self.rope or self.score_bias in ("projected", "distances")):
            yield "k_bias", "the key bias cancels in the softmax", (self.n_kv_heads or 0) * (self.d_head or 0)

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return the chunk length of the small test model if chunks consist of patches, or None for all other
        fields.
        """
        return sizes.PATCH_WINDOW if field == "chunk" and not self.causal else None

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return head counts that divide evenly and an even rotary width for the small test model."""
        from ._small_sizes import shrink_attention  # needed only by tests

        return shrink_attention(self, sizes, small)

    def declare(self) -> Declaration:
        """Declare the query, key and value projections, the scores, the weighted values and the output projection."""
        declaration = Declaration(self._axes())
        self._tensors(declaration)
        if self.unused:
            return declaration.only_stored()
        declaration.equations(*self._project(), *self._attend(), *self._output())
        declaration.elsewhere = ("reused_k", "reused_v") * self.kv_reused + ("earlier",) * bool(self.values_of)
        add_kv_cache(self, declaration)
        include_indexer(self, declaration)
        return declaration

    def _axes(self) -> dict[str, int | str]:
        sizes = {"d": self.d_model, "h": self.n_heads, "g": self.n_kv_heads, "e": self.d_head, "v": self.d_head_v}
        sizes |= {"r": self.rope.dim if self.rope else None, "src": self.d_source, "u": self.n_buckets}
        sizes |= {"w": self.window, "Z": self.chunk, "pre": self.prefix, "in": self.d_input, "iv": self.d_input_v}
        sizes |= {"ar": self.adapter_rank, "na": self.n_adapters}
        axes: dict[str, int | str] = {axis: size for axis, size in sizes.items() if size is not None}
        return axes | token_axes(self)

    def _tensors(self, declaration: Declaration) -> None:
        own = self._input_axis()
        source = "src" if self.cross else own
        declaration.weights(f"wq[{own} | h e]")
        if not self.kv_reused:
            declaration.weights(f"wk[{source} | g e]")
        if not (self.kv_reused or self.values_are_keys):
            declaration.weights(f"wv[{'iv' if self.d_input_v else source} | g v]")
        if self.gate:
            declaration.weights(f"wgate[{own} | {self.gate.axes()}]")
        declaration.weights("wo[h v | d]")
        biases = {
            "bq[h e]": self.q_bias,
            "bk[g e]": self.k_bias and not self.kv_reused,
            "bv[g v]": self.v_bias and not self.kv_reused,
            **dict.fromkeys(self.gate.bias_tensors() if self.gate else (), True),
            "bo[d]": self.o_bias,
        }
        declaration.weights(*(spec for spec, present in biases.items() if present))
        if self.qk_norm != "none":
            axes = {"head": ("e", "e"), "per_head": ("h; e", "g; e"), "projection": ("h e", "g e")}[self.qk_norm]
            for name, of in zip("q" if self.kv_reused else "qk", axes, strict=False):
                declaration.weights(*[f"{name}_norm[{of}]"] * self.qk_norm_scale)
                declaration.weights(*[f"{name}_norm_b[{of}]"] * self.qk_norm_bias)
        if self.adapter_rank:
            for name, heads in HEADS:
                declaration.weights(f"w{name}_a[na; {own} | ar]", f"w{name}_b[na; ar | {heads}]")
        late = {
            "o_norm[h v]": self.o_norm,
            "o_norm_b[h v]": self.o_norm and self.o_norm_function == "layernorm",
            "sinks[h]": self.sinks,
            "alpha[h]": self.exclusive,
            "wr[d | h e]": self.score_bias == "projected",
        }
        declaration.weights(*(spec for spec, present in late.items() if present))
        if self.score_bias == "relative":
            share = ".relative_bias" if self.relative_shared else None
            declaration.weights("relative_bias[u; h]", share=share)

    def _project(self) -> list[str]:
        rows = "b n" if self.cross else "b q"
        own = self._input_axis()
        lines = [f"q[b q h e] = x[b q {own}] wq[{own} h e]", *(["q[b q h e] = add(q, bq)"] if self.q_bias else [])]
        lines += [] if self.kv_reused else self._project_keys_and_values(rows)
        lines += add_lora(self._input_axis()) if self.adapter_rank else []
        lines += ["v[b q g v] = rope(v)"] if self.v_rope else []
        if self.qk_norm != "none":
            weights = ["_norm"] * self.qk_norm_scale + ["_norm_b"] * self.qk_norm_bias
            for name, axes in (("q", "b q h e"), ("k", f"{rows} g e"))[: 1 if self.kv_reused else 2]:
                arguments = ", ".join([name, *(f"{name}{weight}" for weight in weights)])
                row = " | row:q" if self.qk_norm == "projection" and not self.cross else ""
                lines += [f"{name}[{axes}] = {self.qk_norm_function}({arguments}){row}"]
        if self.clip:
            lines += ["q[b q h e] = clamp(q)"]
            lines += [] if self.kv_reused else [f"k[{rows} g e] = clamp(k)", f"v[{rows} g v] = clamp(v)"]
        if self.rope:
            lines += ["q[b q h r] = rope(q)", *([] if self.kv_reused else [f"k[{rows} g r] = rope(k)"])]
        if self.kv_reused:
            lines += ["k[b k g e] = copy(reused_k[b k g e])", "v[b k g v] = copy(reused_v[b k g v])"]
        return lines

    def _project_keys_and_values(self, rows: str) -> list[str]:
        source = f"src[{rows} src]" if self.cross else f"x[{rows} {self._input_axis()}]"
        width = "src" if self.cross else self._input_axis()
        lines = [f"k[{rows} g e] = {source} wk[{width} g e]", *([f"k[{rows} g e] = add(k, bk)"] if self.k_bias else [])]
        if self.values_are_keys:
            lines += [f"v[{rows} g v] = copy(k)"]
        else:
            if self.d_input_v:
                source, width = f"{'earlier' if self.values_of else 'x'}[{rows} iv]", "iv"
            lines += [f"v[{rows} g v] = {source} wv[{width} g v]"]
            lines += [f"v[{rows} g v] = add(v, bv)"] if self.v_bias else []
        return lines + ([f"v[{rows} g v] = rmsnorm(v)"] if self.v_norm else [])

    def _attend(self) -> list[str]:
        keys = "s" if self.cross else "k"
        lines = [f"s[b h q {keys}] = q[b q h e] k[b {keys} g e] | g:h core", f"s[b h q {keys}] = scale(s) | core"]
        lines += [f"s[b h q {keys}] = softcap(s) | core"] if self.logit_softcap else []
        if self.score_bias == "projected":
            lines += [f"r[{keys} h e] = sinusoids[{keys} d] wr[d h e] | constant"]
            lines += [f"sr[b h q {keys}] = q[b q h e] r[{keys} h e]", f"s[b h q {keys}] = add(s, sr)"]
        if self.score_bias == "distances":
            lines += [f"sr[b h q {keys}] = q[b q h e] distances[q {keys} e]", f"s[b h q {keys}] = add(s, sr)"]
        bias = {"relative": "relative_bias", "alibi": "position_bias"}.get(self.score_bias)
        lines += [f"s[b h q {keys}] = add(s, {bias}) | core"] if bias else []
        scores = "s, sinks" if self.sinks else "s"
        lines += self._softmax(keys, scores)
        lines += [f"o[b q h v] = p[b h q {keys}] v[b {keys} g v] | g:h core"]
        lines += ["statistics[b h q] = log_sum_exp(o) | flash"]
        if self.causal and not self.cross:  # torch's fused attention saves a mask in the compute format
            lines += ["mask[b q k] = keep(mask) | flash torch"]
        if self.prefix:
            lines += [
                "sp[b h q pre] = q[b q h e] prefix_k[pre g e] | g:h",
                "pp[b h q pre] = softmax(sp, s)",
                "o[b q h v] = pp[b h q pre] prefix_v[pre g v] | g:h",
            ]
        return lines

    def _softmax(self, keys: str, scores: str) -> list[str]:
        return add_softmax(keys, scores, self.softmax_in_fp32)

    def _output(self) -> list[str]:
        lines = []
        if self.exclusive:
            lines += ["own[b q g v] = l2norm(v[b q g v])", "along[b q h v] = mul(o, own)"]
            lines += ["along[b q h v] = mul(along, alpha)", "o[b q h v] = add(o, along)"]
        lines += ["o[b q h v] = rmsnorm(o)"] if self.head_norm else []
        lines += self._gate()
        if self.o_norm:
            weights = "o_norm, o_norm_b" if self.o_norm_function == "layernorm" else "o_norm"
            lines += [f"o[b q h v] = {self.o_norm_function}(o, {weights}) | row:q"]
        lines += ["y[b q d] = o[b q h v] wo[h v d]", *(["y[b q d] = add(y, bo)"] if self.o_bias else [])]
        return lines

    def _input_axis(self) -> str:
        return "in" if self.d_input else "d"

    def _gate(self) -> list[str]:
        return self.gate.lines(self._input_axis()) if self.gate else []
