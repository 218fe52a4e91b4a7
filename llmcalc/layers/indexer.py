"""The indexer of sparse attention [deepseek2025v32, Section 2]: scores all cached tokens cheaply, so that attention
looks at the best of them alone.

It stands within an attention layer. Choosing has no derivative: no gradient flows through it.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class Indexer(Layer):
    """``score = Σ_heads weight · relu(q k)``, for one key a token.

    Attributes:
        d_model: width of the input.
        n_index_heads: query heads.
        d_index: width of a query head and of the key.
        d_query: queries are made of a latent of this width; None: of the input.
        weighted: each head's score is weighed by a projection of the input.
        key_norm: norm of the key: ``layernorm`` with a bias, or ``rmsnorm``.
        query_norm: a norm on each query head.
        block: so many tokens are chosen together.
        compressed: one key stands for so many tokens, whose keys are weighed by a learned gate (GLM-5.3).
        input_norm: a LayerNorm on what queries are made of (Mistral Large 4).
        position_scaled: queries grow with the logarithm of their position, by two learned numbers a head.
        pooled: the keys of a block are averaged before they are scored; so are only whole blocks.
    """

    d_model: int
    n_index_heads: int
    d_index: int
    d_query: int | None = None
    weighted: bool = True
    key_norm: str = "layernorm"
    query_norm: bool = False
    block: int = 1
    pooled: bool = False
    compressed: int | None = None
    input_norm: bool = False
    position_scaled: bool = False

    GIVEN: ClassVar[dict[str, str]] = {**Layer.GIVEN, "log_places": "the logarithm of each position"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"key_norm": ("layernorm", "rmsnorm")}

    def declare(self) -> Declaration:
        """Queries, one key a token, scores; the keys are kept."""
        axes: dict[str, int | str] = {"d": self.d_model, "ih": self.n_index_heads, "ie": self.d_index, "t": "c + q"}
        declaration = Declaration(axes)
        declaration.mask = "causal"
        source = f"{'xn' if self.input_norm else 'x'}[b q d] wq[d ih ie]"
        if self.d_query:
            axes["Q"] = self.d_query
            source = "cq[b q Q] wq[Q ih ie]"
        declaration.weights(f"wq[{'Q' if self.d_query else 'd'} | ih ie]", "wk[d | ie]", "k_norm[ie]")
        bias = self.key_norm == "layernorm"
        declaration.weights(*(["k_norm_b[ie]"] if bias else []), *(["q_norm[ie]"] if self.query_norm else []))
        lines = self._normed(declaration)
        lines += [f"iq[b q ih ie] = {source}", "ik[b q ie] = x[b q d] wk[d ie]"]
        lines += ["iq[b q ih ie] = rmsnorm(iq, q_norm)"] if self.query_norm else []
        lines += [f"ik[b q ie] = {self.key_norm}(ik, k_norm{', k_norm_b' if bias else ''})"]
        lines += ["iq[b q ih ie] = rope(iq)", "ik[b q ie] = rope(ik)"]
        if self.position_scaled:
            declaration.weights("q_scale[ih]", "q_shift[ih]")
            lines += ["grow[b q ih] = mul(log_places, q_scale)", "grow[b q ih] = add(grow, q_shift)"]
            lines += ["iq[b q ih ie] = mul(iq, grow)"]
        if self.compressed:
            declaration.equations(*(f"{line} | nograd" for line in [*lines, *self._compress(declaration)]))
            return declaration
        if self.pooled:
            axes |= {"cr": self.block, "ib": f"{_pairs('(c + q)')} - {_pairs('c')}"}
            lines += ["score[b ih ib] = iq[b ib ih ie] ik[b ib ie]", "score[b ih ib] = relu(score)"]
            lines += ["chosen[b ih ib] = top_k(score)"]
        else:
            lines += self._score(declaration)
        declaration.equations(*(f"{line} | nograd" for line in lines))
        declaration.state("ik[b t ie]", "index")
        return declaration

    def _normed(self, declaration: Declaration) -> list[str]:
        """What queries are made of, where the input has a norm first."""
        if not self.input_norm:
            return []
        declaration.weights("in_norm[d]", "in_norm_b[d]")
        return ["xn[b q d] = layernorm(x, in_norm, in_norm_b)"]

    def _compress(self, declaration: Declaration) -> list[str]:
        """Scores of whole groups of tokens; transformers keeps keys and gates of all tokens, and which are there."""
        width = self.d_index
        declaration.axes |= {"cr": self.compressed or 1, "ip": 2 * width + 1, "ix": 2 * width}
        declaration.axes |= {"im": "ceil(c + q - cr + 1, cr)", "tr": "mod(c + q, cr)"}
        declaration.weights("places[cr; ie]", "gate[d | ie]", "ww[d | ih]")
        declaration.state("ik[b im ie]", "index", "model")
        declaration.state("pending[b tr ix]", "index", "model")
        declaration.state("packed[b t ip]", "index", "torch")
        return [
            "ig[b q ie] = x[b q d] gate[d ie]",
            "ig[b q ie] = add(ig, places)",
            "group[b im ie] = pooled(ig)",
            "score[b ih q im] = iq[b q ih ie] group[b im ie]",
            "score[b ih q im] = relu(score)",
            "weight[b q ih] = x[b q d] ww[d ih]",
            "total[b q im] = weight[b q ih] score[b ih q im]",
            "chosen[b q im] = top_k(total)",
        ]

    def _score(self, declaration: Declaration) -> list[str]:
        lines = ["score[b ih q k] = iq[b q ih ie] ik[b k ie]"]
        if self.weighted:
            declaration.weights("ww[d | ih]")
            lines += ["score[b ih q k] = relu(score)", "weight[b q ih] = x[b q d] ww[d ih]"]
            lines += ["total[b q k] = weight[b q ih] score[b ih q k]"]
        return [*lines, f"chosen[b q k] = top_k({'total' if self.weighted else 'score'})"]


def _pairs(tokens: str) -> str:
    """Pairs of a token and a whole block of ``cr`` tokens up to it, among so many tokens."""
    blocks = f"ceil({tokens} - cr + 1, cr)"
    return f"(cr * ceil({blocks} * {blocks} - {blocks}, 2) + {blocks} * ({tokens} - cr * {blocks} + 1))"
