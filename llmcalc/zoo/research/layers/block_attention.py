"""Encoder attention for long inputs. Tokens attend to nearby blocks and to global tokens or summaries.

In LongT5 [guo2021], tokens attend to their own block, adjacent blocks, and segment summaries. In PEGASUS-X
[phang2022], tokens attend to their own block and to global tokens, and the global tokens attend to all tokens.
"""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles

GLOBAL = (
    "sg[b h gt qz] = qs[b gt h e] k[b qz h e]",
    "sgg[b h gt gk] = qs[b gt h e] ks[b gk h e]",
    "pg[b h gt qz] = softmax(sg[b h gt qz])",
    "pgg[b h gt gk] = softmax(sgg[b h gt gk])",
    "og[b gt h e] = pg[b h gt qz] v[b qz h e]",
    "ogg[b gt h e] = pgg[b h gt gk] vs[b gk h e]",
    "og[b gt h e] = add(og, ogg)",
)
GLOBAL_IN_TORCH = (  # the keys and values of all tokens are copied
    "ka[b kg h e] = copy(k, ks)",
    "va[b kg h e] = copy(v, vs)",
    "sg[b h gt kg] = qs[b gt h e] ka[b kg h e]",
    "pg[b h gt kg] = softmax(sg)",
    "og[b gt h e] = pg[b h gt kg] va[b kg h e]",
)


@record
class BlockAttention(Layer):
    """``y = softmax(q [k_block, k_global]ᵀ) [v_block, v_global] · wo``, without a causal mask.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads.
        d_head: width of a head.
        block: number of tokens per block.
        reach: ``own`` if queries attend only to their own block, or ``beside`` if they attend to all tokens
            less than one block length away.
        positions: ``none`` or ``relative`` (a learned bias per bucket, shared by all layers of the stack).
        n_buckets: number of buckets of the relative bias.
        max_distance: distance in tokens at which the last bucket starts.
        summary: number of tokens per segment; each segment has one global key and value.
        n_global: number of global tokens in the separate stream.
        staggered: whether the blocks are shifted by half a block.
        globals_dropped: whether the outputs of the global tokens are unused and get no gradient.
        scale: scale of the scores (default: 1 / sqrt(d_head)).
        norm_eps: epsilon of the norms for summaries and global tokens.
    """

    d_model: int
    n_heads: int
    d_head: int
    block: int
    reach: str = "own"
    positions: str = "none"
    n_buckets: int | None = None
    summary: int | None = None
    n_global: int | None = None
    staggered: bool = False
    globals_dropped: bool = False
    max_distance: int = 128
    scale: float | None = None
    norm_eps: float = 1e-5

    AXES: ClassVar[str] = """
    every  tokens_per_global  tokens summarised by one global key and value
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e u")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"xs": "the global tokens", "stretch": "the segment of each token"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"reach": ("own", "beside"), "positions": ("none", "relative")}
    SHRINK: ClassVar[dict[str, str]] = {
        "block": "5 3",
        "n_buckets": "10 12 14",
        "summary": "4 7",
        "max_distance": "always 11 13",
    }

    def has_order(self) -> bool:
        """Return whether the layer has relative positions."""
        return self.positions != "none"

    def declare(self) -> Declaration:
        """Declare the projections, local and global scores, weighted values, and output projection."""
        declaration = Declaration({"d": self.d_model, "h": self.n_heads, "e": self.d_head, "Z": self.block})
        self._add_axes(declaration)
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]")
        if self.positions == "relative":
            declaration.axes["u"] = int(self.n_buckets or 1)
            declaration.weights("relative_bias[u; h]", share=".relative_bias")
        rows = declaration.padded = "qz" if self.n_global else "q"  # with global tokens, the implementation pads first
        declaration.equations(*(f"{name}[b {rows} h e] = x[b {rows} d] w{name}[d h e]" for name in "qkv"))
        if self.summary:
            self._add_summaries(declaration)
        if self.n_global:
            self._add_globals(declaration)
        declaration.equations(*self._attend(), f"y[b {rows} d] = o[b {rows} h e] wo[h e d]")
        declaration.mask = f"block:{self.block}" if self.reach == "own" else f"local:{self.block}"
        return declaration

    def _add_axes(self, declaration: Declaration) -> None:
        shift = 2 * (self.block // 2) if self.staggered else 0
        blocks = 1 if self.reach == "own" else 3
        declaration.axes |= {"qz": "q", "kz": blocks * self.block}
        declaration.as_torch["qz"] = f"ceil(q, Z) * Z + {shift}"
        if self.summary:
            declaration.axes |= {"every": self.summary, "gt": "ceil(q - every + 1, every)"}  # complete segments
        if self.n_global:
            declaration.axes["gt"] = self.n_global
        others = declaration.axes.get("gt", 0)
        declaration.axes |= {"y": f"ceil(q, Z) + {int(self.staggered)}", "wv": f"{blocks * self.block} + {others}"}

    def _add_summaries(self, declaration: Declaration) -> None:
        declaration.weights("summary_norm[d]")
        if self.positions == "relative":
            declaration.weights("summary_bias[u; h]", share=".summary_bias")
        declaration.equations(
            "xs[b gt d] = x[b q d] stretch[b q gt] | constant torch",
            "xs[b q d] = add(x) | model",
            "xs[b gt d] = copy(xs) | model",
            "xs[b gt d] = rmsnorm(xs[b gt d], summary_norm)",
            "ks[b gt h e] = xs[b gt d] wk[d h e]",
            "vs[b gt h e] = xs[b gt d] wv[d h e]",
        )

    def _add_globals(self, declaration: Declaration) -> None:
        tag = "nograd" if self.globals_dropped else ""
        declaration.weights("global_norm[d]", "global_norm_b[d]")
        declaration.equations("xs[b gt d] = layernorm(xs, global_norm, global_norm_b)")
        declaration.equations("qs[b gt h e] = xs[b gt d] wq[d h e]", tag=tag)
        declaration.equations("ks[b gt h e] = xs[b gt d] wk[d h e]", "vs[b gt h e] = xs[b gt d] wv[d h e]")
        declaration.axes |= {"gk": self.n_global or 1, "kg": f"q + {self.n_global}"}
        declaration.as_torch["kg"] = f"{declaration.as_torch['qz']} + {self.n_global}"
        declaration.equations(
            *(f"{line} | torch" for line in GLOBAL_IN_TORCH),
            *(f"{line} | model" for line in GLOBAL),
            "ys[b gt d] = og[b gt h e] wo[h e d]",
            tag=tag,
        )

    def _attend(self) -> list[str]:
        has_others = bool(self.summary or self.n_global)
        bias = ["s[b h q k] = add(s, relative_bias) | model"] if self.positions == "relative" else []
        lines = [
            *(f"{line} | torch" for line in self._attend_in_torch(has_others)),
            "s[b h q k] = q[b q h e] k[b k h e] | model",
            *bias,
            "p[b h q k] = softmax(s) | model",
            "o[b q h e] = p[b h q k] v[b k h e] | model",
        ]
        if has_others:
            lines += ["ss[b h q gt] = q[b q h e] ks[b gt h e] | model"]
            lines += ["ss[b h q gt] = add(ss, summary_bias) | model"] if self.summary and bias else []
            lines += ["ps[b h q gt] = softmax(ss) | model", "o[b q h e] = ps[b h q gt] vs[b gt h e] | model"]
        return lines

    def _attend_in_torch(self, has_others: bool) -> list[str]:
        """Return the equations of the implementation, which has one softmax and copies the keys of several blocks."""
        if self.reach == "beside":
            others = (", ks", ", vs") if has_others else ("", "")
            return [
                f"k[b y wv h e] = copy(k{others[0]})",
                f"v[b y wv h e] = copy(v{others[1]})",
                "s[b h y Z wv] = q[b y Z h e] k[b y wv h e]",
                "p[b h y Z wv] = softmax(s)",
                "o[b y Z h e] = p[b h y Z wv] v[b y wv h e]",
            ]
        if not has_others:
            scores, weights = [], "p[b h qz kz] = softmax(s)"
        else:
            scores = ["ss[b h qz gt] = q[b qz h e] ks[b gt h e]", "s[b h y Z wv] = copy(s, ss)"]
            weights = "p[b h y Z wv] = softmax(s)"
        return [
            "s[b h qz kz] = q[b qz h e] k[b kz h e]",
            *scores,
            weights,
            "o[b qz h e] = p[b h qz kz] v[b kz h e]",
            *(["o[b qz h e] = p[b h qz gt] vs[b gt h e]"] if has_others else []),
        ]
