"""Multi-head latent attention with a compressed latent for keys and values [deepseek2024v2, Section 2.1].

In prefill, keys and values are expanded from the latent. In a decode step, the up-projections are absorbed into
the query and the output. The eager code of transformers expands the full cache in every decode step instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration
from ..core.description.part_family import PartFamily
from ..core.layer import Layer
from ..core.part import Part
from ..core.record import record
from ..core.traits import Parallel, Roles, Stored
from ._attention_parts import scale_by_position
from .parts.rope import Rope, check_rope

if TYPE_CHECKING:
    from ..core.shrink import Sizes
    from .parts.latent_indexer import LatentIndexer
    from .parts.temperature import Temperature


@record
class Mla(Layer):
    """Multi-head latent attention that caches ``kv_lora_rank + qk_rope_head_dim`` elements per token.

    Attributes:
        d_model: input and output width.
        n_heads: number of heads.
        kv_lora_rank: width of the key-value latent.
        q_lora_rank: width of the query latent; None to project queries from the input.
        qk_nope_head_dim: width of the non-rotary part of each head.
        qk_rope_head_dim: width of the rotary part of each head, with one key for all heads; 0 if there is none.
        v_head_dim: width of each value head.
        bias: whether the down-projections and the output projection have biases.
        rope: rotary positions of the rotary part; None if the part is not rotated (Kimi Linear).
        scale: scaling factor for the scores (default: 1 / sqrt(qk_nope_head_dim + qk_rope_head_dim)).
        temperature: query scaling that grows with the position.
        norm_eps: epsilon of the norms on the latents.
        causal: whether later tokens are masked.
        window: window size in tokens, including the query token.
        gate: source of a sigmoid gate on the weighted values: ``input``, ``latent`` (the query latent) or ``none``.
        gate_per_head: whether there is one gate per head instead of one per value channel.
        double_latent: whether queries and gates read the query latent both before and after its norm.
        key_norm: whether the rotary key has a norm.
        latent_scaled: whether both latents are scaled by sqrt(d_model / rank) after their norms (LongCat-Flash).
        sinks: whether each head has a learned sink logit in the softmax.
        indexer: indexer that selects tokens.
        index_topk: number of tokens selected per query by the indexer of this layer or an earlier layer.
        latent_reused, latent_lent: whether an earlier layer lends the latent and rotary key, or this one lends its own.
        position_scaled: whether each query head is scaled by a learned linear function of the log position.
        rope_learned: number of rotary frequencies with a learned factor, shared by all layers; None: no factors.
    """

    d_model: int
    n_heads: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    q_lora_rank: int | None = None
    bias: bool = False
    rope: Rope | None = Rope()
    causal: bool = True
    window: int | None = None
    gate: str = "none"
    gate_per_head: bool = False
    double_latent: bool = False
    key_norm: bool = False
    latent_scaled: bool = False
    sinks: bool = False
    indexer: LatentIndexer | None = None
    index_topk: int | None = None
    latent_reused: bool = False
    latent_lent: bool = False
    position_scaled: bool = False
    rope_learned: int | None = None
    scale: float | None = None
    temperature: Temperature | None = None
    norm_eps: float = 1e-6

    AXES: ClassVar[str] = """
    C     kv_lora_rank      rank of the compressed key/value, which the cache stores
    nope  qk_nope_head_dim  width of the non-rotary part of a head
    rope  qk_rope_head_dim  width of the rotary part of a head
    qk    qk_head_dim       qk_nope_head_dim + qk_rope_head_dim
    QQ    2 q_lora_rank     the query latent before and after its norm, concatenated
    rf    n_frequencies     rotary frequencies
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="v Q C nope rope qk QQ rf")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="v_head_dim", windows="window")
    STORED: ClassVar[Stored] = Stored(latents="ckv kr", head_keys="h qk", head_values="h v")
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"qk_rope_head_dim"})
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "reused_ckv": "latent of an earlier layer",
        "reused_kr": "rotary key of an earlier layer",
        "log_places": "logarithm of each position",
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"gate": ("none", "input", "latent")}
    SHRINK: ClassVar[dict[str, str]] = {"qk_rope_head_dim": "6 10 14", "window": "7 11 13 5", "index_topk": "4"}
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {
        "rope": (Rope,),
        "indexer": PartFamily("parts", "latent_indexer"),
        "temperature": PartFamily("parts", "temperature"),
    }

    def _complete(self) -> None:
        check_rope(self, "qk_rope_head_dim")
        if self.q_lora_rank is None and (self.double_latent or self.gate == "latent"):
            raise self.size_error("double_latent", "and gate: latent require q_lora_rank")
        if self.key_norm and (self.latent_reused or not self.qk_rope_head_dim):
            raise self.size_error("key_norm", "requires a rotary key computed by this layer")

    def has_order(self) -> bool:
        """Return whether the layer uses rotary positions."""
        return self.rope is not None

    def attention_direction(self) -> str:
        """Return ``causal`` if later tokens are masked, and ``both`` otherwise."""
        return "causal" if self.causal else "both"

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return the number of learned frequencies in the small test layer, one per rotary pair."""
        learned = self.rope_learned if field == "rope_learned" else None
        return sizes.size("qk_rope_head_dim", 2 * learned, 6, 10, 14) // 2 if learned else None

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return rotary positions that match the rotary width of the small test layer."""
        from ._small_sizes import shrink_rope  # needed only by tests

        return {"rope": shrink_rope(self, small.get("rope"), small.get("qk_rope_head_dim", self.qk_rope_head_dim))}

    def declare(self) -> Declaration:
        """Declare the down-projections, norms, up-projections, attention and output projection."""
        nope, rope = self.qk_nope_head_dim, self.qk_rope_head_dim
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "C": self.kv_lora_rank, "t": "c + q"}
        axes |= {"nope": nope, "v": self.v_head_dim, "qk": nope + rope} | ({"rope": rope} if rope else {})
        declaration = Declaration(axes)
        axes |= {"w": self.window, "k": "min(c, w - 1) + q", "t": "min(c + q, w - 1)"} if self.window else {}
        self._queries(declaration)
        self._latent(declaration)
        declaration.pieces = {"kn": ("kr",)} if self.qk_rope_head_dim else {}
        declaration.weights("wkb[C | h nope]", "wvb[C | h v]", "wo[h v | d]", *(["bo[d]"] if self.bias else []))
        self._places(declaration)
        if self.indexer:
            declaration.include("indexer", self.indexer.layer(self.d_model, self.q_lora_rank))
        declaration.weights(*["sinks[h]"] * self.sinks)
        scores = "s, sinks" if self.sinks else "s"
        expanded = (line for when in ("prefill", "decode torch") for line in self._expanded(when, scores))
        declaration.equations(*expanded, *self._absorbed(scores))
        self._gate(declaration)
        declaration.equations("y[b q d] = o[b q h v] wo[h v d]", *["y[b q d] = add(y, bo)"] * self.bias)
        for state in ["ckv[b t C]", *["kr[b t rope]"] * bool(rope)] * (not self.latent_reused):
            declaration.state(state)
        # selected keys are counted as a window of the same size
        seen = min(filter(None, (self.window, self.index_topk)), default=None)
        declaration.mask = (f"window:{seen}" if seen else "causal") if self.causal else ""
        return declaration

    def _latent(self, declaration: Declaration) -> None:
        """Declare the latent and the rotary key, either projected from the input or reused from an earlier layer."""
        made = {"ckv": ("C", "kva"), "kr": ("rope", "kr")} if self.qk_rope_head_dim else {"ckv": ("C", "kva")}
        if self.latent_reused:
            declaration.elsewhere = ("reused_ckv", "reused_kr")
            copies = (f"{name}[b k {axis}] = copy(reused_{name}[b k {axis}])" for name, (axis, _) in made.items())
            declaration.equations(*copies)
            return
        declaration.weights(*(f"w{weight}[d | {axis}]" for axis, weight in made.values()), "kv_norm[C]")
        for name, (axis, weight) in made.items():
            declaration.equations(f"{name}[b q {axis}] = x[b q d] w{weight}[d {axis}]")
        for name, (axis, weight) in made.items() if self.bias else ():
            declaration.weights(f"b{weight}[{axis}]")
            declaration.equations(f"{name}[b q {axis}] = add({name}, b{weight})")
        scaled = ["ckv[b q C] = scale(ckv)"] * self.latent_scaled
        declaration.equations("ckv[b q C] = rmsnorm(ckv, kv_norm)", *scaled)
        if self.key_norm:
            declaration.weights("kr_norm[rope]")
            declaration.equations("kr[b q rope] = rmsnorm(kr, kr_norm)")

    def _places(self, declaration: Declaration) -> None:
        """Declare the rotation of queries and keys, and the position-dependent query scaling."""
        is_rotated = self.rope is not None and self.qk_rope_head_dim > 0
        if self.rope_learned:
            declaration.axes["rf"] = self.rope_learned
            declaration.weights("alpha[rf]", share=".rope_alpha", unused=not is_rotated)
            declaration.equations(*(["factors[rf] = exp(alpha)"] if is_rotated else []))
        if is_rotated:  # learned frequencies have a gradient, for which the rotated tensors are saved
            rotated = {"kr": "b q rope"} if not self.latent_reused else {}
            learned = ", factors" if self.rope_learned else ""
            for function, more in (("keep", ""), ("rope", learned)) if learned else (("rope", ""),):
                for name, row in (rotated | {"qr": "b q h rope"}).items():
                    declaration.equations(f"{name}[{row}] = {function}({name}{more})")
        if self.position_scaled:
            declaration.equations(*scale_by_position(declaration, "q", "h qk", "h", " | constant"))

    def _expanded(self, when: str, scores: str) -> list[str]:
        """Return the equations of attention to keys and values that are expanded from the latent."""
        return [
            f"kn[b k h nope] = ckv[b k C] wkb[C h nope] | {when}",
            f"vv[b k h v] = ckv[b k C] wvb[C h v] | {when}",
            f"s[b h q k] = q[b q h qk] kn[b k h qk] | {when} core",
            f"s[b h q k] = scale(s) | {when} core",
            f"p[b h q k] = softmax({scores}) | {when} core",
            f"p[b h q k] = dropout(p) | {when} core dropout",
            f"o[b q h v] = p[b h q k] vv[b k h v] | {when} core",
            f"statistics[b h q] = log_sum_exp(o) | {when} flash",
        ]

    def _absorbed(self, scores: str) -> list[str]:
        """Return the equations of attention to the latents, with the up-projections in the query and the output."""
        rotary = ["sr[b h q k] = qr[b q h rope] kr[b k rope] | decode model", "s[b h q k] = add(s, sr) | decode model"]
        return [
            "ql[b q h C] = qn[b q h nope] wkb[C h nope] | decode model",
            "s[b h q k] = ql[b q h C] ckv[b k C] | decode model",
            *(rotary if self.qk_rope_head_dim else []),
            "s[b h q k] = scale(s) | decode model",
            f"p[b h q k] = softmax({scores}) | decode model",
            "ol[b q h C] = p[b h q k] ckv[b k C] | decode model",
            "o[b q h v] = ol[b q h C] wvb[C h v] | decode model",
        ]

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
            latent, width = ("cc", "QQ") if self.double_latent else ("cq", "Q")
            declaration.axes |= {"Q": self.q_lora_rank} | ({"QQ": 2 * self.q_lora_rank} if self.double_latent else {})
            declaration.weights("wqa[d | Q]", "q_norm[Q]", f"wqb[{width} | h qk]", *(["bqa[Q]"] if self.bias else []))
            declaration.equations("cq[b q Q] = x[b q d] wqa[d Q]", *["cq[b q Q] = add(cq, bqa)"] * self.bias)
            declaration.equations(*["cc[b q QQ] = copy(cq)"] * self.double_latent, "cq[b q Q] = rmsnorm(cq, q_norm)")
            declaration.equations(*["cq[b q Q] = scale(cq)"] * self.latent_scaled)
            declaration.equations(f"q[b q h qk] = {latent}[b q {width}] wqb[{width} h qk]")
        else:
            declaration.weights("wq[d | h qk]")
            declaration.equations("q[b q h qk] = x[b q d] wq[d h qk]")
