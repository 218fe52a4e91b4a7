"""Self-attention of a decoder that predicts the next n tokens: ProphetNet's n streams [qi2020, Section 3.2]."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import MultiHead, project_inputs, project_output


@record
class NgramAttention(MultiHead):
    """A main stream with causal attention, and ``n_gram`` streams that attend to it and to their own tokens.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, of width d_model / n_heads.
        n_gram: number of tokens predicted at once, each by its own stream.
        n_buckets: number of buckets of the relative position bias, which is projected from the tokens.
        max_distance: distance in tokens from which on the last bucket is used.
    """

    n_gram: int
    n_buckets: int
    max_distance: int = 128

    def declare(self) -> Declaration:
        """Projections of all streams, attention of the main stream and of the predicting streams, output projection."""
        axes = self._head_axes() | {"ng": self.n_gram, "ms": 1 + self.n_gram, "qs": "q * ms"}
        declaration = Declaration({**axes, "uh": self.n_buckets * self.n_heads, "t": "c + q", "kn": "q"})
        project_inputs(declaration, rows="qs")
        declaration.weights("wr[d | uh]", "br[uh]")
        declaration.equations("r[b qs uh] = x[b qs d] wr[d uh]", "r[b qs uh] = add(r, br)", *_STREAMS)
        project_output(declaration, "qs")
        declaration.state("k[b t h e]")
        declaration.state("v[b t h e]")
        declaration.mask = "causal"
        return declaration


# The main stream sees keys up to its own; a predicting stream sees those, and its own key in place of the others.
_STREAMS = [
    "s[b h q k] = q[b q h e] k[b k h e]",
    "s[b h q k] = add(s, r)",
    "p[b h q k] = softmax(s)",
    "o[b q h e] = p[b h q k] v[b k h e]",
    "sp[b ng h q k] = q[b ng q h e] k[b k h e]",
    "so[b ng h q kn] = q[b ng q h e] k[b ng kn h e] | torch",
    "so[b ng h q] = q[b ng q h e] k[b ng q h e] | model",
    "sp[b ng h q k] = add(sp, r)",
    "pp[b ng h q k] = softmax(sp)",  # over keys of the main stream and its own
    "po[b ng h q kn] = softmax(so) | torch",
    "po[b ng h q] = softmax(so) | model",
    "op[b ng q h e] = pp[b ng h q k] v[b k h e]",
    "op[b ng q h e] = po[b ng h q kn] v[b ng kn h e] | torch",
    "op[b ng q h e] = po[b ng h q] v[b ng q h e] | model",
]
