"""ConvBERT's mixed attention [jiang2020, Section 4] with attention heads and span-based convolution heads."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel
from ....layers._attention_parts import MultiHead, project_inputs


@record
class ConvBertAttention(MultiHead):
    """``y = [attention(q, k, v), conv(x wc, softmax((span(x) ⊙ q) wf))] wo``, without a causal mask.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads of each type (attention, convolution), each of width d_model / (2 n_heads).
        d_conv: kernel size of both convolutions.
    """

    d_conv: int = 9

    AXES: ClassVar[str] = """
    hy  n_head_types  number of types of heads
    """
    PARALLEL: ClassVar[Parallel] = Parallel(replicated="g", whole="i K hy")
    HAS_ORDER: ClassVar[bool] = True
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4"}

    def _complete(self) -> None:
        super()._complete()
        if self.d_model % (2 * self.n_heads):
            problem = f"is {self.d_model}; it must be a multiple of 2 n_heads ({2 * self.n_heads})"
            raise self.size_error("d_model", problem)

    def declare(self) -> Declaration:
        """Declare the projections, separable convolution, dynamic kernels, both head types, and output projection."""
        axes = self._head_axes() | {"i": self.d_model // 2, "g": self.n_heads, "hy": 2}
        declaration = Declaration({**axes, "e": self.d_model // (2 * self.n_heads), "K": self.d_conv})
        project_inputs(declaration)
        declaration.weights("span[d; K]", "wspan[d | h e]", "bspan[h e]", "wf[i | g K]", "bf[g K]")
        declaration.equations(*_KERNELS)
        project_inputs(declaration, "c")
        declaration.weights("wo[hy h e | d]", "bo[d]")
        declaration.equations(*_MIX)
        return declaration


_KERNELS = [
    "z[b q d] = x[b q d] span[d K]",
    "ks[b q h e] = z[b q d] wspan[d h e]",
    "ks[b q h e] = add(ks, bspan)",
    "ks[b q h e] = mul(ks, q)",
    "kw[b q i] = copy(ks)",
    "f[b q g K] = kw[b q i] wf[i g K]",
    "f[b q g K] = add(f, bf)",
    "f[b q g K] = softmax(f)",
]
_MIX = [
    "oc[b q h e] = c[b q h e] f[b q g K] | g:h model",
    "cu[b q h e K] = gather(c) | torch",  # PyTorch unfolds the window of each token
    "oc[b q h e] = cu[b q h e K] f[b q g K] | g:h torch",
    "s[b h q k] = q[b q h e] k[b k h e]",
    "s[b h q k] = scale(s)",
    "p[b h q k] = softmax(s)",
    "oa[b q h e] = p[b h q k] v[b k h e]",
    "o[b q hy h e] = copy(oa, oc)",
    "y[b q d] = o[b q hy h e] wo[hy h e d]",
    "y[b q d] = add(y, bo)",
]
