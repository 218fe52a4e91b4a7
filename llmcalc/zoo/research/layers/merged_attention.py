"""Attention of a decoder to its own tokens and to those of the encoder at once: one softmax, one set of projections.

T5Gemma 2 [zhang2025b, Section 2].
"""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.record import record
from ....layers._attention_parts import inherit_docs
from ....layers.attention import Attention

_EXCLUDED = "cross chunk prompt prefix sinks kv_reused values_are_keys index_heads adapter_rank v_norm clip"


@inherit_docs
@record
class MergedAttention(Attention):
    """``y = softmax(q (k, c)ᵀ / sqrt(d_head)) (v, w) · wo``: k and v are made of the input, c and w of the encoder's
    output, which is as wide, by the same matrices; only q and k are rotated or within a window.
    """

    def __post_init__(self) -> None:
        Attention.__post_init__(self)
        for name in _EXCLUDED.split():
            if getattr(self, name):
                raise SizeError(f"{name} is not understood beside the encoder's tokens", where=self.kind())
        if not self.causal or self.positions not in ("none", "rope") or self.d_input or self.d_input_v or self.v_rope:
            text = "causal, with positions: none or rope, of one width, goes with the encoder's tokens beside it"
            raise SizeError(text, where=self.kind())
        if self.d_source != self.d_model:
            text = f"d_source ({self.d_source}) is not d_model ({self.d_model}); one matrix makes the keys of both"
            raise SizeError(text, where=self.kind())

    def declare(self) -> Declaration:
        """Attention, and what is kept of the encoder's tokens."""
        declaration = Attention.declare(self)
        if not self.unused:
            declaration.state("ck[b s g e]", "kv")
            declaration.state("cv[b s g v]", "kv")
        return declaration

    def _project(self) -> list[str]:
        lines = [*Attention._project(self), "ck[b n g e] = src[b n d] wk[d g e]"]
        lines += ["ck[b n g e] = add(ck, bk)"] if self.k_bias else []
        lines += ["cv[b n g v] = src[b n d] wv[d g v]", *(["cv[b n g v] = add(cv, bv)"] if self.v_bias else [])]
        if self.qk_norm != "none":
            weights = ["k_norm"] * self.qk_norm_scale + ["k_norm_b"] * self.qk_norm_bias
            lines += [f"ck[b n g e] = {self.qk_norm_function}({', '.join(['ck', *weights])})"]
        return lines

    def _attend(self) -> list[str]:
        lines = [
            "s[b h q k] = q[b q h e] k[b k g e] | g:h core",
            "sc[b h q s] = q[b q h e] ck[b s g e] | g:h core",
        ]
        for scores in ("s[b h q k]", "sc[b h q s]"):
            name = scores.partition("[")[0]
            lines += [f"{scores} = scale({name}) | core"]
            lines += [f"{scores} = softcap({name}) | core"] if self.logit_softcap else []
        shares = (("p[b h q k]", "f[b h q k]", "s, sc"), ("pc[b h q s]", "fc[b h q s]", "sc, s"))
        for share, whole, scores in shares:
            name = whole.partition("[")[0]
            if self.softmax_in_fp32:
                lines += [f"{whole} = softmax_fp32({scores}) | core torch", f"{share} = cast({name}) | core torch"]
            lines += [f"{share} = softmax({scores}) | core{' model' if self.softmax_in_fp32 else ''}"]
            lines += [f"{share} = dropout({share.partition('[')[0]}) | core dropout"]
        return [
            *lines,
            "o[b q h v] = p[b h q k] v[b k g v] | g:h core",
            "o[b q h v] = pc[b h q s] cv[b s g v] | g:h core",
            "statistics[b h q] = log_sum_exp(o) | flash",
            "mask[b q k] = keep(mask) | flash torch",
        ]
