"""Fields of attention, their checks, and the traits of its axes. ``attention.py`` contains its equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.description.part_family import PartFamily
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import changed, record
from ..core.traits import Parallel, Roles, Stored
from ..core.type_names import TYPE_CHECKING, Any, ClassVar
from ._attention_parts import contradictions, derive_head_width

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..core.shrink import Sizes
    from .parts.cross import Cross
    from .parts.gate import Gate
    from .parts.implementation import Implementation
    from .parts.inputs import Inputs
    from .parts.kv import Kv
    from .parts.lora import Lora
    from .parts.multipliers import Multipliers
    from .parts.output_norm import OutputNorm
    from .parts.qk_norm import QkNorm
    from .parts.rope import Rope
    from .parts.score_bias import ScoreBias
    from .parts.temperature import Temperature
    from .parts.token_indexer import TokenIndexer


_PARTS = (  # fields of parts in modules of the same names
    "qk_norm", "rope", "cross", "inputs", "lora", "gate", "kv", "implementation", "multipliers", "temperature",
)  # fmt: skip


@record
class AttentionFields(Layer):
    """Fields of attention with query, key and value heads.

    Attributes:
        d_model: input and output width.
        n_heads: number of query heads.
        n_kv_heads: number of key and value heads (default: n_heads); must divide n_heads.
        d_head: width of each query and key head (default: d_model / n_heads).
        d_head_v: width of each value head (default: d_head).
        q_bias, k_bias, v_bias, o_bias: whether the query, key, value and output projections have biases.
        qk_norm: norms of queries and keys.
        score_bias: position biases of the scores: ``alibi``, ``relative`` (one learned bias per bucket),
            ``projected`` (projected sinusoids; Transformer-XL), or ``distances`` (learned vectors [shaw2018]).
            ``positions`` is a short form for this field or, with the value ``rope``, for default rotary positions.
        rope: rotary positions of queries and keys.
        causal: whether later tokens are masked.
        window: window size in tokens, including the query token (on each side if not causal).
        window_ahead: window size for later tokens, including the query token, if different from ``window``.
        chunk: chunk length in tokens. Attention is restricted to tokens in the same chunk.
        cross: keys and values from the encoder.
        inputs: inputs of the projections that differ from the layer input.
        lora: LoRA adapters on queries, keys and values.
        indexer: indexer that selects tokens.
        clip: clamping bound for queries, keys and values (OLMo, DBRX).
        gate: gate on the head outputs.
        sinks: whether each head has a learned sink logit in the softmax (gpt-oss).
        prompt: number of learned tokens before the sequence. No causal mask applies among these tokens (CPM-Ant).
        kv: keys and values that are shared, reused, learned or changed after their projection.
        o_norm: norm of the head outputs.
        implementation: properties of an implementation that affect only memory.
        logit_softcap: soft-cap bound for the scores (Gemma 2).
        scale: scaling factor for the scores (default: 1 / sqrt(d_head)).
        multipliers: constant factors of the input, the values and the output.
        temperature: query scaling that grows with the position.
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
    qk_norm: QkNorm | None = None
    score_bias: ScoreBias | None = None
    rope: Rope | None = None
    causal: bool = True
    window: int | None = None
    window_ahead: int | None = None
    chunk: int | None = None
    cross: Cross | None = None
    inputs: Inputs | None = None
    lora: Lora | None = None
    indexer: TokenIndexer | None = None
    clip: float | None = None
    gate: Gate | None = None
    sinks: bool = False
    prompt: int | None = None
    kv: Kv | None = None
    o_norm: OutputNorm | None = None
    implementation: Implementation | None = None
    logit_softcap: float | None = None
    scale: float | None = None
    multipliers: Multipliers | None = None
    temperature: Temperature | None = None
    merge: int = 1
    unused: bool = False

    AXES: ClassVar[str] = """
    iv  d_input_v  width of the input of the value projection
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", replicated="g", whole="ar na in e v u iv src")
    STORED: ClassVar[Stored] = Stored(values="v")
    ROLES: ClassVar[Roles] = Roles(
        heads="n_heads", kv_heads="n_kv_heads", head_widths="d_head d_head_v", windows="window", chunks="chunk"
    )
    LAYOUT_NAMES: ClassVar[dict[str, str]] = {"cross": "cross_attention"}
    HEADS_TOGETHER: ClassVar[int] = 1  # heads come in multiples of this number
    SHRINK: ClassVar[dict[str, str]] = {
        "n_kv_heads": "3 2 5 7",
        "window": "7 11 13 5",
        "window_ahead": "4 3",
        "chunk": "5 3",
        "prompt merge": "keep",
    }
    SHORT_FORMS: ClassVar[dict[str, tuple[str, str]]] = {"positions": ("score_bias", "rope")}
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {
        "score_bias": PartFamily("score_biases"),
        "indexer": PartFamily("parts", "token_indexer"),
        "o_norm": PartFamily("parts", "output_norm"),
        **{name: PartFamily("parts", name) for name in _PARTS},
    }

    def _complete(self) -> None:
        self.derive(n_kv_heads=self.n_heads)
        self.must_divide("n_kv_heads", "n_heads")
        derive_head_width(self)
        self.derive(d_head_v=self.d_head)
        if self.rope:
            from .parts.rope import fit_rope  # loaded with the part

            fit_rope(self, "d_head")
        if self.cross and self.cross.d_source is None:
            object.__setattr__(self, "cross", changed(self.cross, d_source=self.d_model))
        if self.indexer and self.indexer.dim is None:
            object.__setattr__(self, "indexer", changed(self.indexer, dim=self.d_head))
        if self.gate and self.gate.bias is None:
            bias = ("head" if self.gate.per_head else "value") if self.q_bias else "none"
            object.__setattr__(self, "gate", changed(self.gate, bias=bias))
        if self.score_bias:
            self.score_bias.check_layer(self)
        for field, problem in contradictions(self):
            raise self.size_error(field, problem)

    def component(self) -> str:
        """Return ``cross-attention`` if keys and values come from an encoder, or the default component otherwise."""
        return "cross-attention" if self.cross else super().component()

    def has_order(self) -> bool:
        """Return whether the layer encodes positions or has parameters that depend on the token order."""
        return self.rope is not None or self.score_bias is not None or super().has_order()

    def attention_direction(self) -> str:
        """Return ``causal`` or ``both`` for self-attention, or an empty string for cross-attention."""
        return "" if self.cross else "causal" if self.causal else "both"

    def idle_parameters(self) -> Iterator[tuple[str, str, int]]:
        """Yield the key bias if the softmax cancels it because it shifts all scores of a query equally."""
        has_bias = self.k_bias and not (self.kv and self.kv.reused)
        if has_bias and not (self.qk_norm or self.rope or (self.score_bias and self.score_bias.DEPENDS_ON_KEYS)):
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
