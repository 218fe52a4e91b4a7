"""Indexer that selects cached tokens for sparse attention [deepseek2025v32, Section 2].

The indexer is part of an attention layer. No gradient flows through the selection.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel
from ._attention_parts import scale_by_position


@record
class Indexer(Layer):
    """Token scores ``Σ_heads weight · relu(q k)``, where all heads share one key per token.

    Attributes:
        d_model: input width.
        n_index_heads: number of query heads.
        d_index: width of each query head and of the key.
        d_query: width of the query latent; None to project queries from the input.
        weighted: whether the head scores are summed with weights projected from the input.
        key_norm: norm of the key: ``layernorm`` (with a bias) or ``rmsnorm``.
        query_norm: whether each query head has a norm.
        block: number of tokens per selectable block.
        compressed: number of tokens that share one key, computed as a gated mean (GLM-5.3).
        input_norm: whether the query projection input has a LayerNorm (Mistral Large 4).
        position_scaled: whether each query head is scaled by a learned linear function of the log position.
        pooled: whether complete blocks are scored by their mean key.
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

    AXES: ClassVar[str] = """
    ib  n_block_pairs   (query, block) pairs of an indexer
    ix  2 d_index       a key and its gate, concatenated
    ip  2 d_index + 1   a key, its gate and a validity flag, concatenated
    im  n_index_blocks  blocks of tokens, cached and new
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="Q ih ie cr")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"log_places": "logarithm of each position"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"key_norm": ("layernorm", "rmsnorm")}
    SHRINK: ClassVar[dict[str, str]] = {"block": "5 3"}

    def declare(self) -> Declaration:
        """Declare the queries, one cached key per token, and the scores."""
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
        lines = ["xn[b q d] = layernorm(x, in_norm, in_norm_b)"] if self.input_norm else []
        declaration.weights(*(["in_norm[d]", "in_norm_b[d]"] if self.input_norm else []))
        lines += [f"iq[b q ih ie] = {source}", "ik[b q ie] = x[b q d] wk[d ie]"]
        lines += ["iq[b q ih ie] = rmsnorm(iq, q_norm)"] if self.query_norm else []
        lines += [f"ik[b q ie] = {self.key_norm}(ik, k_norm{', k_norm_b' if bias else ''})"]
        lines += ["iq[b q ih ie] = rope(iq)", "ik[b q ie] = rope(ik)"]
        if self.position_scaled:
            lines += scale_by_position(declaration, "iq", "ih ie", "ih")
        if self.compressed:
            declaration.equations(*lines, *self._compress(declaration), tag="nograd")
            return declaration
        if self.pooled:
            axes |= {"cr": self.block, "ib": f"{_pairs('(c + q)')} - {_pairs('c')}"}
            lines += ["score[b ih ib] = iq[b ib ih ie] ik[b ib ie]", "score[b ih ib] = relu(score)"]
            lines += ["chosen[b ih ib] = top_k(score)"]
        else:
            lines += ["score[b ih q k] = iq[b q ih ie] ik[b k ie]"]
            if self.weighted:
                declaration.weights("ww[d | ih]")
                lines += ["score[b ih q k] = relu(score)", "weight[b q ih] = x[b q d] ww[d ih]"]
                lines += ["total[b q k] = weight[b q ih] score[b ih q k]"]
            lines += [f"chosen[b q k] = top_k({'total' if self.weighted else 'score'})"]
        declaration.equations(*lines, tag="nograd")
        declaration.state("ik[b t ie]", "index")
        return declaration

    def _compress(self, declaration: Declaration) -> list[str]:
        """Declare the weights and caches for token groups, and return the equations that score complete groups."""
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
            "group[b im ie] = pooled(ik, ig)",
            "score[b ih q im] = iq[b q ih ie] group[b im ie]",
            "score[b ih q im] = relu(score)",
            "weight[b q ih] = x[b q d] ww[d ih]",
            "total[b q im] = weight[b q ih] score[b ih q im]",
            "chosen[b q im] = top_k(total)",
        ]


def _pairs(tokens: str) -> str:
    """Return the number of complete blocks of ``cr`` tokens up to each token, summed over all tokens."""
    blocks = f"ceil({tokens} - cr + 1, cr)"
    return f"(cr * ceil({blocks} * {blocks} - {blocks}, 2) + {blocks} * ({tokens} - cr * {blocks} + 1))"
