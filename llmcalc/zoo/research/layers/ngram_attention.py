"""Self-attention of a decoder that predicts the next n tokens at once: ProphetNet's n streams [qi2020, Section 3.2]."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....layers._attention_parts import project_inputs, project_output


@record
class NgramAttention(Layer):
    """A main stream that attends as usual, and ``n_gram`` streams that attend to it and to themselves.

    Attributes:
        d_model: width of input and output.
        n_heads: heads; a head is d_model / n_heads wide.
        n_gram: tokens that are predicted at once, each by a stream of its own.
        n_buckets: buckets of the relative position bias, which is projected from the tokens.
        max_distance: tokens from which on all distances share the last bucket.
    """

    d_model: int
    n_heads: int
    n_gram: int
    n_buckets: int
    max_distance: int = 128

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")

    def declare(self) -> Declaration:
        """Projections of all streams, the main stream's attention, the predicting streams', output projection."""
        declaration = Declaration(
            {
                "d": self.d_model,
                "h": self.n_heads,
                "e": self.d_model // self.n_heads,
                "ng": self.n_gram,
                "ms": 1 + self.n_gram,
                "qs": "q * ms",
                "uh": self.n_buckets * self.n_heads,
                "t": "c + q",
                "kn": "q",
            }
        )
        project_inputs(declaration, rows="qs")
        declaration.weights("wr[d | uh]", "br[uh]")
        declaration.equations("r[b qs uh] = x[b qs d] wr[d uh]", "r[b qs uh] = add(r, br)", *_streams())
        project_output(declaration, "qs")
        declaration.state("k[b t h e]")
        declaration.state("v[b t h e]")
        declaration.mask = "causal"
        return declaration


def _streams() -> list[str]:
    """The main stream sees the keys up to its own; a predicting one sees those and, instead of the others, its own."""
    return [
        "s[b h q k] = q[b q h e] k[b k h e]",
        "s[b h q k] = add(s, r)",
        "p[b h q k] = softmax(s)",
        "o[b q h e] = p[b h q k] v[b k h e]",
        "sp[b ng h q k] = q[b ng q h e] k[b k h e]",
        "so[b ng h q kn] = q[b ng q h e] k[b ng kn h e] | torch",
        "so[b ng h q] = q[b ng q h e] k[b ng q h e] | model",
        "sp[b ng h q k] = add(sp, r)",
        "pp[b ng h q k] = softmax(sp)",  # over those of the main stream and its own together
        "po[b ng h q kn] = softmax(so) | torch",
        "po[b ng h q] = softmax(so) | model",
        "op[b ng q h e] = pp[b ng h q k] v[b k h e]",
        "op[b ng q h e] = po[b ng h q kn] v[b ng kn h e] | torch",
        "op[b ng q h e] = po[b ng h q] v[b ng q h e] | model",
    ]
