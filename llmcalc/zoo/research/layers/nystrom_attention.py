"""Nyström attention [xiong2021], which approximates scores by landmarks and adds a convolution over the values."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel
from ....layers._attention_parts import MultiHead, add_value_convolution, project_inputs, project_output

STEPS = 6  # iterations of the approximate inverse


@record
class NystromAttention(MultiHead):
    """``y = (softmax(q klᵀ) · softmax(ql klᵀ)⁻¹ · softmax(ql kᵀ) v + conv(v)) wo``, where ql and kl are segment means.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        n_landmarks: number of landmarks; each landmark is the mean of a segment of tokens. None: full attention.
        d_conv: kernel size of a per-head depthwise convolution over the values; None: no convolution.
    """

    n_landmarks: int | None = None
    d_conv: int | None = None

    AXES: ClassVar[str] = """
    lm ln lo  n_landmarks  number of landmarks in Nyström attention
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="K")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"z": "the inverse so far, starting from scaled transposed scores"}
    SHRINK: ClassVar[dict[str, str]] = {"n_landmarks": "5 3", "d_conv": "at most 4"}

    def undeclared_collectives(self) -> str:
        """Return the reduction of the scale at which the inverse starts, which all heads share."""
        return "the maximum over all heads and its gradient" if self.n_landmarks else ""

    def declare(self) -> Declaration:
        """Declare the projections, three softmaxes, iterative inverse, weighted values, convolution, and output."""
        declaration = Declaration(self._head_axes())
        project_inputs(declaration)
        if self.n_landmarks:
            declaration.axes |= dict.fromkeys(("lm", "ln", "lo"), self.n_landmarks) | {"it": STEPS}
        declaration.equations(*(_NYSTROM if self.n_landmarks else _FULL))
        add_value_convolution(declaration, self.d_conv)
        project_output(declaration)
        return declaration


_FULL = [
    "s[b h q k] = q[b q h e] k[b k h e]",
    "p[b h q k] = softmax(s)",
    "o[b q h e] = p[b h q k] v[b k h e]",
]
_NYSTROM = [
    "ql[b q h e] = add(q, q)",  # means of segments
    "kl[b q h e] = add(k, k)",
    "ql[b lm h e] = copy(ql)",
    "kl[b ln h e] = copy(kl)",
    "s1[b h q lm] = q[b q h e] kl[b lm h e]",
    "s1[b h q lm] = softmax(s1)",
    "s2[b h lm ln] = ql[b lm h e] kl[b ln h e]",
    "s2[b h lm ln] = softmax(s2)",
    "s3[b h lm k] = ql[b lm h e] k[b k h e]",
    "s3[b h lm k] = softmax(s3)",
    # four products per step: Z = Z/4 (13 - A Z (15 - A Z (7 - A Z)))
    "az[b h it lm ln] = s2[b h lm lo] z[b h it lo ln]",
    "from7[b h it lm ln] = add(az)",
    "za[b h it lm ln] = az[b h it lm lo] from7[b h it lo ln]",
    "from15[b h it lm ln] = add(za)",
    "zb[b h it lm ln] = az[b h it lm lo] from15[b h it lo ln]",
    "from13[b h it lm ln] = add(zb)",
    "zn[b h it lm ln] = z[b h it lm lo] from13[b h it lo ln]",
    "inverse[b h lm ln] = copy(zn)",  # the last iterate
    "s1[b h q ln] = s1[b h q lm] inverse[b h lm ln]",
    "vl[b h lm e] = s3[b h lm k] v[b k h e]",
    "o[b q h e] = s1[b h q lm] vl[b h lm e]",
]
