"""N-gram self-attention (ProphetNet) [qi2020, Section 3.2] with one stream per predicted token."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel, Stored
from ....layers._attention_parts import MultiHead, project_inputs, project_output


@record
class NgramAttention(MultiHead):
    """Causal attention in one main stream and ``n_gram`` predicting streams. All streams attend to the main stream.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        n_gram: number of predicted tokens per position, each with a separate stream.
        n_buckets: number of buckets of the relative position bias. The bias is projected from the tokens.
        max_distance: distance in tokens at which the last bucket starts.
    """

    n_gram: int
    n_buckets: int
    max_distance: int = 128

    AXES: ClassVar[str] = """
    ng  n_gram      predicted future streams per token
    uh  n_relative  buckets of relative positions, for all heads
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="uh")
    STORED: ClassVar[Stored] = Stored(values="v")
    SHRINK: ClassVar[dict[str, str]] = {"n_gram": "keep", "n_buckets": "10 12 14", "max_distance": "always 11 13"}

    def declare(self) -> Declaration:
        """Declare the projections, the attention of the main and predicting streams, and the output projection."""
        axes = self._head_axes() | {"ng": self.n_gram, "ms": 1 + self.n_gram, "qs": "q * ms", "u": self.n_buckets}
        declaration = Declaration({**axes, "uh": self.n_buckets * self.n_heads, "t": "c + q", "kn": "q"})
        project_inputs(declaration, rows="qs")
        declaration.weights("wr[d | uh]", "br[uh]")
        declaration.equations("r[b qs uh] = x[b qs d] wr[d uh]", "r[b qs uh] = add(r, br)", "r[b qs u h] = copy(r)")
        declaration.equations(*_STREAMS)
        project_output(declaration, "qs")
        declaration.state("k[b t h e]")
        declaration.state("v[b t h e]")
        declaration.mask = "causal"
        return declaration


# A predicting stream attends to the main stream's keys up to its position, and to its own key there.
_STREAMS = [
    "s[b h q k] = q[b q h e] k[b k h e]",
    "s[b h q k] = add(s, r)",
    "p[b h q k] = softmax(s)",
    "o[b q h e] = p[b h q k] v[b k h e]",
    "sp[b ng h q k] = q[b ng q h e] k[b k h e]",
    "so[b ng h q kn] = q[b ng q h e] k[b ng kn h e] | torch",
    "so[b ng h q] = q[b ng q h e] k[b ng q h e] | model",
    "sp[b ng h q k] = add(sp, r)",
    "pp[b ng h q k] = softmax(sp)",  # over the keys of the main stream and the stream's own key
    "po[b ng h q kn] = softmax(so) | torch",
    "po[b ng h q] = softmax(so) | model",
    "op[b ng q h e] = pp[b ng h q k] v[b k h e]",
    "op[b ng q h e] = po[b ng h q kn] v[b ng kn h e] | torch",
    "op[b ng q h e] = po[b ng h q] v[b ng q h e] | model",
]
