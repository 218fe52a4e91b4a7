"""Layers with block-diagonal (grouped) matrices, as in SqueezeBERT [iandola2020] and ConvBERT [jiang2020]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import MultiHead
from ....layers.linear import Linear
from ....layers.mlp import ACTIVATIONS


@record
class GroupedMlp(Layer):
    """``y = act(x w1) w2`` with grouped matrices and biases.

    Attributes:
        d_model: width of input and output.
        d_ff: hidden width.
        activation: activation function applied to the hidden values.
        groups: number of groups of the first matrix.
        out_groups: number of groups of the second matrix.
    """

    d_model: int
    d_ff: int
    activation: str = "gelu"
    groups: int = 1
    out_groups: int = 1

    KIND: ClassVar[str] = "grouped_mlp"
    PARALLEL: ClassVar[Parallel] = Parallel(whole="f")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"u": "the hidden values"}
    SHRINK: ClassVar[dict[str, str]] = {"groups out_groups": "3 2"}

    def _complete(self) -> None:
        for name in ("groups", "out_groups"):
            self.must_divide(name, "d_model")
            self.must_divide(name, "d_ff")

    def declare(self) -> Declaration:
        """Declare the two grouped projections and the activation."""
        declaration = Declaration({"f": self.d_ff})
        declaration.include("up", Linear(self.d_model, self.d_ff, groups=self.groups), gives="u")
        declaration.equations(f"u[b q f] = {self.activation}(u)")
        declaration.include("down", Linear(self.d_ff, self.d_model, groups=self.out_groups), of="u", gives="y")
        return declaration


@record
class GroupedAttention(MultiHead):
    """Multi-head attention with grouped projections and biases, without a causal mask.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        q_groups, k_groups, v_groups, o_groups: number of groups of each projection.
    """

    q_groups: int = 1
    k_groups: int = 1
    v_groups: int = 1
    o_groups: int = 1

    KIND: ClassVar[str] = "grouped_attention"
    PARALLEL: ClassVar[Parallel] = Parallel(whole="h")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"q": "the queries", "k": "the keys", "v": "the values"}
    SHRINK: ClassVar[dict[str, str]] = {"q_groups k_groups v_groups o_groups": "3 2"}

    def _complete(self) -> None:
        super()._complete()
        for name in ("q_groups", "k_groups", "v_groups", "o_groups"):
            self.must_divide(name, "d_model")

    def declare(self) -> Declaration:
        """Declare four grouped projections, the scores, and the weighted values."""
        declaration = Declaration({"h": self.n_heads, "e": self.d_model // self.n_heads})
        for name, source, result in (("q", "x", "q"), ("k", "x", "k"), ("v", "x", "v"), ("o", "o", "y")):
            part = Linear(self.d_model, self.d_model, groups=getattr(self, f"{name}_groups"))
            declaration.include(name, part, of=source, gives=result)
        declaration.equations("s[b h q k] = q[b q h e] k[b k h e]", "s[b h q k] = scale(s)")
        declaration.equations("p[b h q k] = softmax(s)", "o[b q h e] = p[b h q k] v[b k h e]")
        return declaration
