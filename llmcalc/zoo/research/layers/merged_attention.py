"""Merged attention [zhang2025b, Section 2] with one softmax over decoder and encoder tokens (T5Gemma 2)."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import FLASH, add_softmax, inherit_docs
from ....layers.attention import Attention

_EXCLUDED = "cross chunk prompt sinks kv inputs indexer lora clip"


@inherit_docs
@record
class MergedAttention(Attention):
    """``y = softmax(q (k, c)ᵀ / sqrt(d_head)) (v, w) · wo``, where keys c and values w come from the encoder.

    Decoder and encoder inputs have the same width and projections. Only q and k have positions or a window.
    """

    IN_ANY_BLOCK: ClassVar[bool] = False

    def _complete(self) -> None:
        Attention._complete(self)
        for name in _EXCLUDED.split():
            if getattr(self, name):
                raise self.size_error(name, "is not supported")
        if not self.causal:
            raise self.size_error("causal", "must be true")
        if self.score_bias:
            raise self.size_error("score_bias", "must be none")

    def declare(self) -> Declaration:
        """Declare the attention and the cached keys and values of the encoder tokens."""
        declaration = Attention.declare(self)
        if not self.unused:
            declaration.state("ck[b s g e]", "kv")
            declaration.state("cv[b s g v]", "kv")
        return declaration

    def _place(self) -> list[str]:
        lines = [*Attention._place(self), "ck[b n g e] = src[b n d] wk[d g e]"]
        lines += ["ck[b n g e] = add(ck, bk)"] if self.k_bias else []
        lines += ["cv[b n g v] = src[b n d] wv[d g v]", *(["cv[b n g v] = add(cv, bv)"] if self.v_bias else [])]
        return lines + ([self.qk_norm.line("ck", "b n g e", of="k")] if self.qk_norm else [])

    def _score(self) -> list[str]:
        own, other = "[b h q k]", "[b h q s]"
        lines = [f"s{own} = q[b q h e] k[b k g e] | g:h core", f"sc{other} = q[b q h e] ck[b s g e] | g:h core"]
        for name, axes in (("s", own), ("sc", other)):
            lines += [f"{name}{axes} = scale({name}) | core"]
            lines += [f"{name}{axes} = softcap({name}) | core"] if self.logit_softcap else []
        return lines

    def _mix(self) -> list[str]:
        in_fp32 = bool(self.implementation and self.implementation.softmax_in_fp32)
        return [
            *add_softmax("b h q k", "s, sc", in_fp32),
            *add_softmax("b h q s", "sc, s", in_fp32, "pc"),
            "o[b q h v] = p[b h q k] v[b k g v] | g:h core",
            "o[b q h v] = pc[b h q s] cv[b s g v] | g:h core",
            *FLASH,
        ]
