"""Merged attention [zhang2025b, Section 2] with one softmax over decoder and encoder tokens (T5Gemma 2)."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.record import record
from ....layers._attention_parts import inherit_docs
from ....layers.attention import Attention

_EXCLUDED = "cross chunk prompt prefix sinks kv_reused values_are_keys index_heads adapter_rank v_norm clip"


@inherit_docs
@record
class MergedAttention(Attention):
    """``y = softmax(q (k, c)ᵀ / sqrt(d_head)) (v, w) · wo``, where keys c and values w come from the encoder.

    Decoder and encoder inputs have the same width and projections. Only q and k have positions or a window.
    """

    IN_ANY_BLOCK: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Attention.__post_init__(self)
        for name in _EXCLUDED.split():
            if getattr(self, name):
                raise self.size_error(name, "is not supported")
        if not self.causal or self.score_bias != "none" or self.d_input or self.d_input_v or self.v_rope:
            text = "requires causal: true, score_bias: none, and no d_input, d_input_v or v_rope"
            raise SizeError(text, where=self.kind())
        if self.d_source != self.d_model:
            text = f"({self.d_source}) must equal d_model ({self.d_model}) because both inputs share matrices"
            raise self.size_error("d_source", text)

    def declare(self) -> Declaration:
        """Declare the attention and the cached keys and values of the encoder tokens."""
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
        own, other = "[b h q k]", "[b h q s]"
        lines = [f"s{own} = q[b q h e] k[b k g e] | g:h core", f"sc{other} = q[b q h e] ck[b s g e] | g:h core"]
        for name, axes in (("s", own), ("sc", other)):
            lines += [f"{name}{axes} = scale({name}) | core"]
            lines += [f"{name}{axes} = softcap({name}) | core"] if self.logit_softcap else []
        for p, f, axes, scores in (("p", "f", own, "s, sc"), ("pc", "fc", other, "sc, s")):
            if self.softmax_in_fp32:
                lines += [f"{f}{axes} = softmax_fp32({scores}) | core torch", f"{p}{axes} = cast({f}) | core torch"]
            lines += [f"{p}{axes} = softmax({scores}) | core{' model' if self.softmax_in_fp32 else ''}"]
            lines += [f"{p}{axes} = dropout({p}) | core dropout"]
        return [
            *lines,
            "o[b q h v] = p[b h q k] v[b k g v] | g:h core",
            "o[b q h v] = pc[b h q s] cv[b s g v] | g:h core",
            "statistics[b h q] = log_sum_exp(o) | flash",
            "mask[b q k] = keep(mask) | flash torch",
        ]
