"""Multi-head, grouped-query [ainslie2023] and multi-query [shazeer2019] attention [vaswani2017, Section 3.2].

Options include sliding windows [beltagy2020], relative biases [raffel2019], cross-attention, sinks and gates.
"""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.record import record
from ._attention_fields import AttentionFields
from ._attention_parts import FLASH, PROJECTED, add_kv_cache, add_softmax, inherit_docs, token_axes
from .parts.kv import Kv

PLAIN_KV = Kv()


@inherit_docs
@record
class Attention(AttentionFields):
    """Multi-head attention ``y = softmax(q kᵀ / sqrt(d_head)) v · wo``.

    Each method after ``_tensors`` returns the equations of one stage. Kinds of attention extend a stage by its name.
    """

    def declare(self) -> Declaration:
        """Declare the projections, positions, scores, weighted values and the output projection, in this order."""
        declaration = Declaration(self._axes())
        self._tensors(declaration)
        if self.unused:
            return declaration.only_stored()
        declaration.equations(*self._project(), *self._place(), *self._score(), *self._mix(), *self._output())
        reused = ("reused_k", "reused_v") if self.kv and self.kv.reused else ()
        declaration.elsewhere = reused + ("earlier",) * bool(self.inputs and self.inputs.values_of)
        add_kv_cache(self, declaration)
        if self.indexer:
            declaration.include("indexer", self.indexer.layer(self.d_model))
            if self.indexer.top_k and declaration.mask == "causal":
                declaration.mask = f"window:{self.indexer.top_k}"  # as many pairs as with the nearest tokens
        return declaration

    def _axes(self) -> dict[str, int | str]:
        sizes: dict[str, int | None] = {"d": self.d_model, "h": self.n_heads, "g": self.n_kv_heads}
        sizes |= {"e": self.d_head, "v": self.d_head_v, "w": self.window, "Z": self.chunk}
        sizes |= {"r": self.rope.dim} if self.rope else {}
        sizes |= {"src": self.cross.d_source} if self.cross else {}
        sizes |= {"pre": self.kv.prefix} if self.kv else {}
        sizes |= {"in": self.inputs.width, "iv": self.inputs.value_width} if self.inputs else {}
        sizes |= self.lora.axes() if self.lora else {}
        axes: dict[str, int | str] = {axis: size for axis, size in sizes.items() if size is not None}
        return axes | token_axes(self)

    def _tensors(self, declaration: Declaration) -> None:
        own, kv = self._input_axis(), self.kv or PLAIN_KV
        source, values = "src" if self.cross else own, "iv" if self.inputs and self.inputs.value_width else ""
        declaration.weights(f"wq[{own} | h e]")
        if not kv.reused:
            declaration.weights(f"wk[{source} | g e]")
        if not (kv.reused or kv.values_are_keys):
            declaration.weights(f"wv[{values or source} | g v]")
        if self.gate:
            declaration.weights(f"wgate[{own} | {self.gate.axes()}]")
        declaration.weights("wo[h v | d]")
        biases = {
            "bq[h e]": self.q_bias,
            "bk[g e]": self.k_bias and not kv.reused,
            "bv[g v]": self.v_bias and not kv.reused,
            **dict.fromkeys(self.gate.bias_tensors() if self.gate else (), True),
            "bo[d]": self.o_bias,
        }
        declaration.weights(*(spec for spec, present in biases.items() if present))
        if self.qk_norm:
            declaration.weights(*self.qk_norm.tensors("q" if kv.reused else "qk"))
        if self.lora:
            declaration.weights(*self.lora.pairs(own, PROJECTED))
        if self.o_norm:
            declaration.weights(*self.o_norm.tensors())
        declaration.weights(*["sinks[h]"] * self.sinks, *["alpha[h]"] * kv.exclusive)
        if self.score_bias:
            self.score_bias.tensors(declaration)

    def _project(self) -> list[str]:
        """Return the projections to queries, keys and values."""
        own, kv = self._input_axis(), self.kv or PLAIN_KV
        lines = [f"q[b q h e] = x[b q {own}] wq[{own} h e]", *["q[b q h e] = add(q, bq)"] * self.q_bias]
        lines += [] if kv.reused else self._project_keys_and_values()
        lines += self.lora.pair_lines(own, PROJECTED) if self.lora else []
        return lines + ["v[b q g v] = rope(v)"] * kv.rope

    def _project_keys_and_values(self) -> list[str]:
        rows, width, kv = self._rows(), "src" if self.cross else self._input_axis(), self.kv or PLAIN_KV
        source = f"{'src' if self.cross else 'x'}[{rows} {width}]"
        lines = [f"k[{rows} g e] = {source} wk[{width} g e]", *[f"k[{rows} g e] = add(k, bk)"] * self.k_bias]
        if kv.values_are_keys:
            lines += [f"v[{rows} g v] = copy(k)"]
        else:
            if self.inputs and self.inputs.value_width:
                source, width = f"{'earlier' if self.inputs.values_of else 'x'}[{rows} iv]", "iv"
            lines += [f"v[{rows} g v] = {source} wv[{width} g v]", *[f"v[{rows} g v] = add(v, bv)"] * self.v_bias]
        return lines + [f"v[{rows} g v] = rmsnorm(v)"] * kv.norm

    def _place(self) -> list[str]:
        """Return the norms, bounds and positions of queries and keys."""
        rows, is_reused = self._rows(), (self.kv or PLAIN_KV).reused
        own = {"q": "b q h e"} if is_reused else {"q": "b q h e", "k": f"{rows} g e"}
        lines = []
        if self.qk_norm:
            lines += [self.qk_norm.line(name, axes, row="" if self.cross else "q") for name, axes in own.items()]
        if self.clip:
            clipped = own if is_reused else own | {"v": f"{rows} g v"}
            lines += [f"{name}[{axes}] = clamp({name})" for name, axes in clipped.items()]
        if self.rope:
            lines += [f"{name}[{axes[:-1]}r] = rope({name})" for name, axes in own.items()]
        if is_reused:
            lines += ["k[b k g e] = copy(reused_k[b k g e])", "v[b k g v] = copy(reused_v[b k g v])"]
        return lines

    def _score(self) -> list[str]:
        """Return the scores of queries and keys."""
        axes = f"b h q {self._keys()}"
        lines = [self._product(), *self._pair_scores(), f"s[{axes}] = scale(s) | core", *self._key_scores()]
        lines += [f"s[{axes}] = softcap(s) | core"] * bool(self.logit_softcap)
        return lines + (self.score_bias.lines(self._keys()) if self.score_bias else [])

    def _product(self) -> str:
        keys = self._keys()
        return f"s[b h q {keys}] = q[b q h e] k[b {keys} g e] | g:h core"

    def _pair_scores(self) -> list[str]:
        """Return equations that add scores of token pairs before scaling. The base class adds none."""
        return []

    def _key_scores(self) -> list[str]:
        """Return equations that add scores of keys after scaling. The base class adds none."""
        return []

    def _mix(self) -> list[str]:
        """Return the weights and the weighted sums of the values."""
        scores = "s, sinks" if self.sinks else "s"
        in_fp32 = bool(self.implementation and self.implementation.softmax_in_fp32)
        lines = [*add_softmax(f"b h q {self._keys()}", scores, in_fp32), *self._sum(), *FLASH[:1]]
        lines += FLASH[1:] if self.causal and not self.cross else []
        if self.kv and self.kv.prefix:
            lines += [
                "sp[b h q pre] = q[b q h e] prefix_k[pre g e] | g:h",
                "pp[b h q pre] = softmax(sp, s)",
                "o[b q h v] = pp[b h q pre] prefix_v[pre g v] | g:h",
            ]
        return lines

    def _sum(self) -> list[str]:
        keys = self._keys()
        return [f"o[b q h v] = p[b h q {keys}] v[b {keys} g v] | g:h core"]

    def _output(self) -> list[str]:
        """Return the head outputs after their norms and gate, and the output projection."""
        lines = [*self._heads(), "y[b q d] = o[b q h v] wo[h v d]"]
        return lines + ["y[b q d] = add(y, bo)"] * self.o_bias

    def _heads(self) -> list[str]:
        lines = []
        if self.kv and self.kv.exclusive:
            lines += ["own[b q g v] = l2norm(v[b q g v])", "along[b q h v] = mul(o, own)"]
            lines += ["along[b q h v] = mul(along, alpha)", "o[b q h v] = add(o, along)"]
        lines += self.o_norm.lines("head") if self.o_norm else []
        lines += self.gate.lines(self._input_axis(), self._gate_scale()) if self.gate else []
        return lines + (self.o_norm.lines("projection") if self.o_norm else [])

    def _gate_scale(self) -> str:
        """Return the name of a tensor that scales the gate. The base class has none."""
        return ""

    def _input_axis(self) -> str:
        return "in" if self.inputs and self.inputs.width else "d"

    def _rows(self) -> str:
        return "b n" if self.cross else "b q"

    def _keys(self) -> str:
        return "s" if self.cross else "k"
