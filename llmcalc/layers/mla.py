"""Multi-head latent attention [deepseek2024v2, Section 2.1]: keys and values are compressed into one latent vector.

While many tokens are processed at once, keys and values are expanded from the latent. In a decode step the
up-projections are absorbed into the query and the output, and attention runs in the latent space; transformers' eager
code expands the whole cache again at every step instead.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from .attention import ROPE_SCALINGS


@record
class Mla(Layer):
    """Attention whose cache is ``kv_lora_rank + qk_rope_head_dim`` numbers a token.

    Attributes:
        d_model: width of input and output.
        n_heads: heads.
        kv_lora_rank: width of the latent that keys and values are expanded from.
        q_lora_rank: width of the query's latent; None: queries come straight from the input.
        qk_nope_head_dim: part of a head without position.
        qk_rope_head_dim: part of a head with rotary position; one key for all heads.
        v_head_dim: width of a value head.
        bias: biases of the down-projections and of the output.
        rope: whether the rotary part is rotated (Kimi Linear: no).
        rope_theta: base of the rotary frequencies.
        rope_interleaved, rope_scaling, rope_factor, rope_length, rope_low_factor, rope_high_factor, rope_fast, rope_slow,
            rope_truncate, rope_attention: as in ``attention``.
        scale: factor on the scores (default: 1 / sqrt(qk_nope_head_dim + qk_rope_head_dim)).
        norm_eps: added under the root of the norms on the latents.
        causal: a query sees no later token.
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
    scale: float | None = None
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

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"rope_scaling": ROPE_SCALINGS}

    def declare(self) -> Declaration:
        """Down-projections, norms, up-projections, attention, output."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "C": self.kv_lora_rank}
        axes |= {"nope": self.qk_nope_head_dim, "rope": self.qk_rope_head_dim, "v": self.v_head_dim}
        axes |= {"qk": self.qk_nope_head_dim + self.qk_rope_head_dim, "t": "c + q"}
        declaration = Declaration(axes)
        self._queries(declaration)
        declaration.weights(
            "wkva[d | C]", "wkr[d | rope]", "kv_norm[C]", "wkb[C | h nope]", "wvb[C | h v]", "wo[h v | d]"
        )
        if self.bias:
            declaration.weights("bkva[C]", "bkr[rope]", "bo[d]")
        declaration.equations("ckv[b q C] = x[b q d] wkva[d C]", "kr[b q rope] = x[b q d] wkr[d rope]")
        if self.bias:
            declaration.equations("ckv[b q C] = add(ckv, bkva)", "kr[b q rope] = add(kr, bkr)")
        declaration.equations("ckv[b q C] = rmsnorm(ckv, kv_norm)")
        if self.rope:
            declaration.equations("kr[b q rope] = rope(kr)", "qr[b q h rope] = rope(qr)")
        declaration.equations(*_EXPANDED, *_ABSORBED, "y[b q d] = o[b q h v] wo[h v d]")
        declaration.equations(*(["y[b q d] = add(y, bo)"] if self.bias else []))
        declaration.state("ckv[b t C]")
        declaration.state("kr[b t rope]")
        declaration.mask = "causal" if self.causal else ""
        return declaration

    def _queries(self, declaration: Declaration) -> None:
        if self.q_lora_rank:
            declaration.axes["Q"] = self.q_lora_rank
            declaration.weights("wqa[d | Q]", "q_norm[Q]", "wqb[Q | h qk]", *(["bqa[Q]"] if self.bias else []))
            declaration.equations("cq[b q Q] = x[b q d] wqa[d Q]")
            declaration.equations(*(["cq[b q Q] = add(cq, bqa)"] if self.bias else []))
            declaration.equations("cq[b q Q] = rmsnorm(cq, q_norm)")
            declaration.equations("q[b q h qk] = cq[b q Q] wqb[Q h qk]")
        else:
            declaration.weights("wq[d | h qk]")
            declaration.equations("q[b q h qk] = x[b q d] wq[d h qk]")


_EXPANDED = [
    line.format(when=when)
    for when in ("prefill", "decode torch")
    for line in (
        "kn[b k h nope] = ckv[b k C] wkb[C h nope] | {when}",
        "vv[b k h v] = ckv[b k C] wvb[C h v] | {when}",
        "s[b h q k] = q[b q h qk] kn[b k h qk] | {when}",
        "s[b h q k] = scale(s) | {when}",
        "p[b h q k] = softmax(s) | {when}",
        "o[b q h v] = p[b h q k] vv[b k h v] | {when}",
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
