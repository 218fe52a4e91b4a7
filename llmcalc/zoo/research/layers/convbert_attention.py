"""ConvBERT's mixed attention [jiang2020, Section 4]: half the heads attend, half convolve, with kernels of spans."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.layer import Layer
from ....core.record import record
from ....layers._attention_parts import project_inputs


@record
class ConvBertAttention(Layer):
    """``y = [attention(q, k, v), conv(x wc, softmax((span(x) ⊙ q) wf))] wo``; no causal mask.

    Attributes:
        d_model: width of input and output.
        n_heads: heads of each half; a head is d_model / (2 n_heads) wide.
        d_conv: taps of both convolutions.
    """

    d_model: int
    n_heads: int
    d_conv: int = 9

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")
        if self.d_model % (2 * self.n_heads):
            raise SizeError(f"d_model is {self.d_model}; half of it goes to n_heads heads", where="convbert_attention")

    def declare(self) -> Declaration:
        """Projections, separable convolution, kernels, both halves, output projection."""
        head = self.d_model // (2 * self.n_heads)
        axes: dict[str, int | str] = {"d": self.d_model, "i": self.d_model, "h": self.n_heads, "g": self.n_heads}
        declaration = Declaration({**axes, "e": head, "K": self.d_conv})
        project_inputs(declaration)
        declaration.weights("span[d; K]", "wspan[d | h e]", "bspan[h e]", "wf[h e | g K]", "bf[g K]")
        declaration.equations(*_KERNELS)
        project_inputs(declaration, "c")
        declaration.weights("wo[i | d]", "bo[d]")
        declaration.equations(*_HALVES)
        return declaration


_KERNELS = [
    "z[b q d] = x[b q d] span[d K]",
    "ks[b q h e] = z[b q d] wspan[d h e]",
    "ks[b q h e] = add(ks, bspan)",
    "ks[b q h e] = mul(ks, q)",
    "f[b q g K] = ks[b q h e] wf[h e g K]",
    "f[b q g K] = add(f, bf)",
    "f[b q g K] = softmax(f)",
]
_HALVES = [
    "oc[b q h e] = c[b q h e] f[b q g K] | g:h",
    "s[b h q k] = q[b q h e] k[b k h e]",
    "s[b h q k] = scale(s)",
    "p[b h q k] = softmax(s)",
    "oa[b q h e] = p[b h q k] v[b k h e]",
    "o[b q i] = copy(oa, oc)",
    "y[b q d] = o[b q i] wo[i d]",
    "y[b q d] = add(y, bo)",
]
