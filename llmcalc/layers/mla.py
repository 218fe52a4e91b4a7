"""Multi-head latent attention [deepseek2024v2, Section 2.1]: keys and values are compressed into one latent vector.

While many tokens are processed at once, keys and values are expanded from the latent. In a decode step the
up-projections are absorbed into the query and the output, and attention runs in the latent space; transformers' eager
code expands the whole cache again at every step instead.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record
from ._rope import ROPE_SCALINGS, check_factors
from .indexer import Indexer


@record
class Mla(Layer):
    """Attention whose cache is ``kv_lora_rank + qk_rope_head_dim`` numbers a token.

    Attributes:
        d_model: width of input and output.
        n_heads: heads.
        kv_lora_rank: width of the latent that keys and values are expanded from.
        q_lora_rank: width of the query's latent; None: queries come straight from the input.
        qk_nope_head_dim: part of a head without position.
        qk_rope_head_dim: part of a head with rotary position; one key for all heads; 0: there is none.
        v_head_dim: width of a value head.
        bias: biases of the down-projections and of the output.
        rope: whether the rotary part is rotated (Kimi Linear: no).
        rope_theta: base of the rotary frequencies.
        rope_interleaved, rope_scaling, rope_factor, rope_length, rope_low_factor, rope_high_factor, rope_fast,
            rope_slow, rope_truncate, rope_attention, rope_factors: as in ``attention``.
        scale: factor on the scores (default: 1 / sqrt(qk_nope_head_dim + qk_rope_head_dim)).
        temperature, temperature_length, temperature_start: queries grow with their position, as in ``attention``.
        norm_eps: added under the root of the norms on the latents.
        causal: a query sees no later token.
        window: a query sees this many tokens, itself included.
        gate: a sigmoid gate on the values' mix, made of the ``input`` or the query's ``latent``, or ``none``.
        gate_per_head: one gate a head instead of one a value.
        double_latent: queries (and their gate) are made of the latent before and after its norm, side by side.
        key_norm: a norm on the rotary key.
        latent_scaled: both latents are scaled by sqrt(d_model / rank) behind their norms (dots.note, LongCat-Flash).
        sinks: a learned logit per head joins the softmax.
        index_heads: heads of an indexer that chooses the tokens to look at; None: no indexer of its own.
        index_dim: width of those heads.
        index_interleaved: its rotated pairs are neighbours, as those of ``rope_interleaved``.
        index_rotates_end: the last numbers of its heads are rotated, not the first.
        index_topk: tokens that are looked at, as chosen by this layer's indexer or that of an earlier layer.
        index_compressed, index_input_norm, index_position_scaled: ``compressed``, ``input_norm`` and
            ``position_scaled`` of the indexer.
        latent_reused: the latent and the rotary key are those of an earlier layer (Mistral Large 4).
        latent_lent: later layers use those of this one, until another one lends them its own.
        position_scaled: queries grow with the logarithm of their position, by two learned numbers a head.
        rope_learned: so many frequencies have a learned factor each, which all layers share; None: they have none.
    """

    d_model: int
    n_heads: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    q_lora_rank: int | None = None
    bias: bool = False
    rope: bool = True
    rope_theta: float = 10000.0
    causal: bool = True
    window: int | None = None
    gate: str = "none"
    gate_per_head: bool = False
    double_latent: bool = False
    key_norm: bool = False
    latent_scaled: bool = False
    sinks: bool = False
    index_heads: int | None = None
    index_dim: int = 128
    index_topk: int | None = None
    index_interleaved: bool = False
    index_rotates_end: bool = False
    index_compressed: int | None = None
    index_input_norm: bool = False
    index_position_scaled: bool = False
    latent_reused: bool = False
    latent_lent: bool = False
    position_scaled: bool = False
    rope_learned: int | None = None
    scale: float | None = None
    temperature: float = 0.0
    temperature_length: int = 8192
    temperature_start: int = 1
    norm_eps: float = 1e-6
    rope_interleaved: bool = False
    rope_scaling: str = "none"
    rope_factor: float = 1.0
    rope_length: int | None = None
    rope_low_factor: float = 1.0
    rope_high_factor: float = 4.0
    rope_fast: float = 32.0
    rope_slow: float = 1.0
    rope_truncate: bool = True
    rope_attention: float = 1.0
    rope_factors: str = ""

    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"temperature_start", "qk_rope_head_dim"})
    GIVEN: ClassVar[dict[str, str]] = {
        **Layer.GIVEN,
        "reused_ckv": "the latent of an earlier layer",
        "reused_kr": "its rotary key",
        "log_places": "the logarithm of each position",
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "rope_scaling": ROPE_SCALINGS,
        "gate": ("none", "input", "latent"),
    }

    def __post_init__(self) -> None:
        self.check()
        check_factors(self, self.rope_scaling, self.rope_factors)
        if self.q_lora_rank is None and (self.double_latent or self.gate == "latent"):
            raise SizeError("double_latent and gate: latent need a q_lora_rank", where="mla")
        if self.key_norm and (self.latent_reused or not self.qk_rope_head_dim):
            raise SizeError("key_norm goes with a rotary key of its own", where="mla")

    def declare(self) -> Declaration:
        """Down-projections, norms, up-projections, attention, output."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "C": self.kv_lora_rank}
        axes |= {"nope": self.qk_nope_head_dim, "v": self.v_head_dim, "t": "c + q"}
        axes |= {"qk": self.qk_nope_head_dim + self.qk_rope_head_dim}
        axes |= {"rope": self.qk_rope_head_dim} if self.qk_rope_head_dim else {}
        declaration = Declaration(axes)
        if self.window:
            axes |= {"w": self.window, "k": "min(c, w - 1) + q", "t": "min(c + q, w - 1)"}
        self._queries(declaration)
        self._latent(declaration)
        declaration.weights("wkb[C | h nope]", "wvb[C | h v]", "wo[h v | d]", *(["bo[d]"] if self.bias else []))
        self._places(declaration)
        if self.index_heads:
            more = {name: getattr(self, f"index_{name}") for name in ("compressed", "input_norm", "position_scaled")}
            indexer = Indexer(self.d_model, self.index_heads, self.index_dim, self.q_lora_rank, **more)
            declaration.include("indexer", indexer.declare())
        softmax = "softmax(s, sinks)" if self.sinks else "softmax(s)"
        declaration.weights(*(["sinks[h]"] if self.sinks else []))
        lines = (line for line in (*_EXPANDED, *_ABSORBED) if self.qk_rope_head_dim or not _ROTARY & set(line.split()))
        declaration.equations(*(line.replace("softmax(s)", softmax) for line in lines))
        self._gate(declaration)
        declaration.equations("y[b q d] = o[b q h v] wo[h v d]")
        declaration.equations(*(["y[b q d] = add(y, bo)"] if self.bias else []))
        if not self.latent_reused:
            for kept in ("ckv[b t C]", "kr[b t rope]")[: 2 if self.qk_rope_head_dim else 1]:
                declaration.state(kept)
        seen = min(
            filter(None, (self.window, self.index_topk)), default=None
        )  # no mask tells chosen keys from near ones
        declaration.mask = (f"window:{seen}" if seen else "causal") if self.causal else ""
        return declaration

    def _latent(self, declaration: Declaration) -> None:
        """The latent and the rotary key, projected from the input or taken from an earlier layer."""
        rotary = bool(self.qk_rope_head_dim)
        if self.latent_reused:
            declaration.elsewhere = ("reused_ckv", "reused_kr")
            declaration.equations("ckv[b k C] = copy(reused_ckv[b k C])")
            declaration.equations(*(["kr[b k rope] = copy(reused_kr[b k rope])"] if rotary else []))
            return
        declaration.weights("wkva[d | C]", *(["wkr[d | rope]"] if rotary else []), "kv_norm[C]")
        declaration.equations("ckv[b q C] = x[b q d] wkva[d C]")
        declaration.equations(*(["kr[b q rope] = x[b q d] wkr[d rope]"] if rotary else []))
        if self.bias:
            declaration.weights("bkva[C]", *(["bkr[rope]"] if rotary else []))
            declaration.equations("ckv[b q C] = add(ckv, bkva)")
            declaration.equations(*(["kr[b q rope] = add(kr, bkr)"] if rotary else []))
        declaration.equations("ckv[b q C] = rmsnorm(ckv, kv_norm)")
        declaration.equations(*(["ckv[b q C] = scale(ckv)"] if self.latent_scaled else []))
        if self.key_norm:
            declaration.weights("kr_norm[rope]")
            declaration.equations("kr[b q rope] = rmsnorm(kr, kr_norm)")

    def _places(self, declaration: Declaration) -> None:
        """Rotation, and queries that grow with their position."""
        turned = self.rope and self.qk_rope_head_dim > 0
        if self.rope_learned:
            declaration.axes["rf"] = self.rope_learned
            declaration.weights("alpha[rf]", share=".rope_alpha", unused=not turned)
            declaration.equations(*(["factors[rf] = exp(alpha)"] if turned else []))
        if turned and self.rope_learned:  # what turns has a gradient, for which what is turned is kept
            declaration.equations(*([] if self.latent_reused else ["kr[b q rope] = keep(kr)"]))
            declaration.equations("qr[b q h rope] = keep(qr)")
        if turned:
            declaration.equations(*([] if self.latent_reused else ["kr[b q rope] = rope(kr)"]))
            declaration.equations("qr[b q h rope] = rope(qr)")
        if self.position_scaled:
            declaration.weights("q_scale[h]", "q_shift[h]")
            declaration.equations(
                "grow[b q h] = mul(log_places, q_scale) | constant", "grow[b q h] = add(grow, q_shift)"
            )
            declaration.equations("q[b q h qk] = mul(q, grow)")

    def _gate(self, declaration: Declaration) -> None:
        if self.gate == "none":
            return
        axes = "h" if self.gate_per_head else "h v"
        source = {"input": ("x", "d"), "latent": (("cc", "QQ") if self.double_latent else ("cq", "Q"))}[self.gate]
        declaration.weights(f"wgate[{source[1]} | {axes}]")
        declaration.equations(
            f"gate[b q {axes}] = {source[0]}[b q {source[1]}] wgate[{source[1]} {axes}]",
            f"gate[b q {axes}] = sigmoid(gate)",
            "o[b q h v] = mul(o, gate)",
        )

    def _queries(self, declaration: Declaration) -> None:
        if self.q_lora_rank:
            declaration.axes["Q"] = self.q_lora_rank
            latent, width = ("cc", "QQ") if self.double_latent else ("cq", "Q")
            declaration.axes |= {"QQ": 2 * self.q_lora_rank} if self.double_latent else {}
            declaration.weights("wqa[d | Q]", "q_norm[Q]", f"wqb[{width} | h qk]", *(["bqa[Q]"] if self.bias else []))
            declaration.equations("cq[b q Q] = x[b q d] wqa[d Q]")
            declaration.equations(*(["cq[b q Q] = add(cq, bqa)"] if self.bias else []))
            declaration.equations(*(["cc[b q QQ] = copy(cq)"] if self.double_latent else []))
            declaration.equations("cq[b q Q] = rmsnorm(cq, q_norm)")
            declaration.equations(*(["cq[b q Q] = scale(cq)"] if self.latent_scaled else []))
            declaration.equations(f"q[b q h qk] = {latent}[b q {width}] wqb[{width} h qk]")
        else:
            declaration.weights("wq[d | h qk]")
            declaration.equations("q[b q h qk] = x[b q d] wq[d h qk]")


_ROTARY = {"sr[b", "sr)"}  # what mentions the scores of rotary keys alone
_EXPANDED = [
    line.format(when=when)
    for when in ("prefill", "decode torch")
    for line in (
        "kn[b k h nope] = ckv[b k C] wkb[C h nope] | {when}",
        "vv[b k h v] = ckv[b k C] wvb[C h v] | {when}",
        "s[b h q k] = q[b q h qk] kn[b k h qk] | {when} core",
        "s[b h q k] = scale(s) | {when} core",
        "p[b h q k] = softmax(s) | {when} core",
        "p[b h q k] = dropout(p) | {when} core dropout",
        "o[b q h v] = p[b h q k] vv[b k h v] | {when} core",
        "statistics[b h q] = log_sum_exp(o) | {when} flash",
    )
]
_ABSORBED = [
    "ql[b q h C] = qn[b q h nope] wkb[C h nope] | decode model",
    "s[b h q k] = ql[b q h C] ckv[b k C] | decode model",
    "sr[b h q k] = qr[b q h rope] kr[b k rope] | decode model",
    "s[b h q k] = add(s, sr) | decode model",
    "s[b h q k] = scale(s) | decode model",
    "p[b h q k] = softmax(s) | decode model",
    "ol[b q h C] = p[b h q k] ckv[b k C] | decode model",
    "o[b q h v] = ol[b q h C] wvb[C h v] | decode model",
]
