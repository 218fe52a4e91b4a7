"""YOSO [zeng2021]: attention as the chance that the hashes of a query and a key collide."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....layers._attention_parts import add_value_convolution, project_inputs, project_output


@record
class HashedAttention(Layer):
    """``y = normalise((1 - arccos(q kᵀ) / π)^bits v) wo``: in expectation, or by tables that samples of hashes fill.

    Attributes:
        d_model: width of input and output.
        n_heads: heads, of width d_model / n_heads.
        expected: the expectation is computed, over all pairs; otherwise it is sampled, linear in the tokens.
        n_hashes: samples.
        bits: bits of a hash.
        d_conv: taps of a depthwise convolution over the values, one filter a head; None: there is none.
    """

    d_model: int
    n_heads: int
    expected: bool = True
    n_hashes: int = 64
    bits: int = 9
    d_conv: int | None = None

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        **Layer.EXTERNAL_TENSORS,
        "planes": "random planes, whose sides are the bits of a hash",
    }

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")

    def declare(self) -> Declaration:
        """Projections, collisions, mix, convolution, output; no causal mask."""
        declaration = Declaration({"d": self.d_model, "h": self.n_heads, "e": self.d_model // self.n_heads})
        project_inputs(declaration)
        if self.expected:
            declaration.equations(*_EXPECTED)
        else:
            declaration.axes |= {"nh": self.n_hashes, "hb": self.bits}
            declaration.equations(*_SAMPLED)
        declaration.equations("o[b q h e] = l2norm(o[b q h e])")
        add_value_convolution(declaration, self.d_conv)
        project_output(declaration)
        return declaration


_EXPECTED = [
    "q[b q h e] = l2norm(q)",
    "k[b q h e] = l2norm(k)",
    "s[b h q k] = q[b q h e] k[b k h e]",
    "p[b h q k] = collision(s)",
    "o[b q h e] = p[b h q k] v[b k h e]",
]
_SAMPLED = [  # a kernel of its own: no matrix products in the implementation
    "cq[b q h nh hb] = q[b q h e] planes[h e nh hb] | elementwise nograd",
    "ck[b q h nh hb] = k[b q h e] planes[h e nh hb] | elementwise nograd",
    "filled[b q h nh e] = add(v, ck)",
    "gathered[b q h nh e] = add(filled, cq)",
    "o[b q h e] = collected(q, k, v)",
]
