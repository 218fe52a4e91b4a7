"""Selection of an answer span for a question token [ram2021, Section 3.2]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel


@record
class SpanSelection(Layer):
    """``y_t = (f(x_question) v) · g(x_t)``, computed separately for the first and the last token of the span.

    The functions f and g are ``layernorm(gelu(x w + b))``. Each sequence has one question.

    Attributes:
        d_in: width of the stream.
        question_id: id of the question token; a sequence without this id uses its first token.
        eps: epsilon of the norms.
    """

    d_in: int
    question_id: int = 104
    eps: float = 1e-5

    PARALLEL: ClassVar[Parallel] = Parallel(whole="in out")
    HAS_ORDER: ClassVar[bool] = True
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"question_id"})
    INPUT_WIDTH: ClassVar[str] = "d_in"
    SHRINK: ClassVar[dict[str, str]] = {"d_in": "width"}

    def declare(self) -> Declaration:
        """Declare two normalised projections and one bilinear matrix for each end of the span."""
        declaration = Declaration({"d": self.d_in, "in": self.d_in, "out": self.d_in})
        declaration.equations("question[b d] = gather(x)")
        for end in ("start", "end"):
            for name, axes, source, rows in ((f"{end}_question", "in", "question", "b"), (end, "out", "x", "b q")):
                declaration.weights(f"{name}[d | {axes}]", f"{name}_b[{axes}]")
                declaration.weights(f"{name}_norm[{axes}]", f"{name}_norm_b[{axes}]")
                declaration.equations(
                    f"{name}_h[{rows} {axes}] = {source}[{rows} d] {name}[d {axes}]",
                    f"{name}_h[{rows} {axes}] = add({name}_h, {name}_b)",
                    f"{name}_h[{rows} {axes}] = gelu({name}_h)",
                    f"{name}_h[{rows} {axes}] = layernorm({name}_h, {name}_norm, {name}_norm_b)",
                )
            declaration.weights(f"{end}_match[in | out]")
            declaration.equations(
                f"{end}_m[b out] = {end}_question_h[b in] {end}_match[in out]",
                f"{end}_y[b q] = {end}_m[b out] {end}_h[b q out]",
            )
        return declaration
