"""YOSO attention [zeng2021], weighted by the collision probabilities of hashed queries and keys."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel
from ....layers._attention_parts import MultiHead, add_value_convolution, project_inputs, project_output


@record
class HashedAttention(MultiHead):
    """``y = normalise((1 - arccos(q kᵀ) / π)^bits v) wo``, computed exactly or by sampling hashes.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        expected: whether to compute the expectation over all pairs. Otherwise, hashes are sampled at linear cost.
        n_hashes: number of sampled hashes.
        bits: number of bits per hash.
        d_conv: kernel size of a per-head depthwise convolution over the values; None: no convolution.
    """

    expected: bool = True
    n_hashes: int = 64
    bits: int = 9
    d_conv: int | None = None

    PARALLEL: ClassVar[Parallel] = Parallel(whole="K")
    HAS_ORDER: ClassVar[bool] = True
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"planes": "random hash planes, which determine the bits of a hash"}
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4"}

    def declare(self) -> Declaration:
        """Declare the projections, collision probabilities, weighted values, convolution, and output projection."""
        declaration = Declaration(self._head_axes())
        project_inputs(declaration)
        if not self.expected:
            declaration.axes |= {"nh": self.n_hashes, "hb": self.bits}
        declaration.equations(*(_EXPECTED if self.expected else _SAMPLED), "o[b q h e] = l2norm(o[b q h e])")
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
_SAMPLED = [  # the implementation uses a custom kernel without matrix products
    "cq[b q h nh hb] = q[b q h e] planes[h e nh hb] | elementwise nograd",
    "ck[b q h nh hb] = k[b q h e] planes[h e nh hb] | elementwise nograd",
    "filled[b q h nh e] = add(v, ck)",
    "gathered[b q h nh e] = add(filled, cq)",
    "o[b q h e] = collected(q, k, v)",
]
