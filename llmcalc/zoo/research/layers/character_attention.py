"""CANINE attention [clark2021, Section 3.2] between the characters of a chunk or between groups of characters."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Roles
from ....layers._attention_parts import MultiHead, project_inputs, project_output


@record
class CharacterAttention(MultiHead):
    """``y = softmax(q kᵀ / sqrt(d_head)) v · wo``, computed between tokens of a chunk or between groups of tokens.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        chunk: number of tokens per chunk. Tokens attend only within their chunk. None: no chunks.
        merge: number of tokens merged into each position; an incomplete last group is dropped.
    """

    chunk: int | None = None
    merge: int = 1

    ROLES: ClassVar[Roles] = Roles(chunks="chunk")
    SHRINK: ClassVar[dict[str, str]] = {"chunk": "5 3", "merge": "keep"}

    def _complete(self) -> None:
        super()._complete()
        if self.chunk and self.merge > 1:
            raise self.size_error("chunk", "and merge cannot be combined")

    def declare(self) -> Declaration:
        """Declare the projections, scores within chunks or between groups, weighted values, and output projection."""
        axes = self._head_axes()
        declaration = Declaration(axes)
        if self.chunk is None:
            axes |= dict.fromkeys(("qg", "kg"), n_groups(self.merge))
            project_inputs(declaration, rows="qg")
            declaration.equations(*_attend("qg", "kg"))
            project_output(declaration, "qg")
            return declaration
        axes |= {"w": self.chunk, "wk": self.chunk, "y": n_groups(self.chunk)}
        axes |= dict.fromkeys(("ql", "kl"), f"mod(q, {self.chunk})")
        project_inputs(declaration)
        declaration.equations(*_attend("y w", "y wk"), *_attend("ql", "kl", "r"), "o[b q h e] = copy(o, or)")
        project_output(declaration)
        return declaration


def n_groups(merge: int) -> str:
    """Return an expression for the number of complete groups of ``merge`` tokens."""
    return f"ceil(max(0, q - {merge - 1}), {merge})" if merge > 1 else "q"


def _attend(queries: str, keys: str, name: str = "") -> list[str]:
    scores = f"b h {queries} {keys.rpartition(' ')[2]}"
    return [
        f"s{name}[{scores}] = q[b {queries} h e] k[b {keys} h e]",
        f"s{name}[{scores}] = scale(s{name})",
        f"p{name}[{scores}] = softmax(s{name})",
        f"o{name}[b {queries} h e] = p{name}[{scores}] v[b {keys} h e]",
    ]
