"""CANINE's attention [clark2021, Section 3.2]: of characters within chunks, and of what groups of them have become."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.layer import Layer
from ....core.record import record
from ....layers._attention_parts import project_inputs, project_output


@record
class CharacterAttention(Layer):
    """``y = softmax(q kᵀ / sqrt(d_head)) v · wo`` with biases, among the tokens of a chunk, or among groups of tokens.

    Attributes:
        d_model: width of input and output.
        n_heads: heads; a head is d_model / n_heads wide.
        chunk: tokens that see each other.
        merge: so many tokens have become one position before it; a last group that is not whole falls off.
    """

    d_model: int
    n_heads: int
    chunk: int | None = None
    merge: int = 1

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")
        if self.chunk and self.merge > 1:
            raise SizeError("chunk and merge exclude each other", where="character_attention")

    def declare(self) -> Declaration:
        """Projections, scores of whole chunks and of the rest, or of all groups, mix, output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_model // self.n_heads}
        declaration = Declaration(axes)
        if self.chunk is None:
            axes |= {"qg": whole_groups(self.merge), "kg": whole_groups(self.merge)}
            project_inputs(declaration, rows="qg")
            declaration.equations(*_scored("qg", "kg"))
            project_output(declaration, "qg")
            return declaration
        axes |= {"w": self.chunk, "wk": self.chunk, "y": whole_groups(self.chunk)}
        axes |= {"ql": f"mod(q, {self.chunk})", "kl": f"mod(q, {self.chunk})"}
        project_inputs(declaration)
        declaration.equations(*_scored("y w", "y wk"), *_scored("ql", "kl", "r"))
        declaration.equations("o[b q h e] = copy(o, or)")
        project_output(declaration)
        return declaration


def whole_groups(merge: int) -> str:
    """Groups of so many tokens, without a last one that is not whole."""
    if merge == 1:
        return "q"
    return f"ceil(max(0, q - {merge - 1}), {merge})"


def _scored(queries: str, keys: str, name: str = "") -> list[str]:
    scores = f"b h {queries} {keys.rpartition(' ')[2]}"
    return [
        f"s{name}[{scores}] = q[b {queries} h e] k[b {keys} h e]",
        f"s{name}[{scores}] = scale(s{name})",
        f"p{name}[{scores}] = softmax(s{name})",
        f"o{name}[b {queries} h e] = p{name}[{scores}] v[b {keys} h e]",
    ]
