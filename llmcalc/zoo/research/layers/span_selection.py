"""Which tokens a span begins and ends with, as a question asks for it [ram2021, Section 3.2]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class SpanSelection(Layer):
    """``y_t = (f(x_question) v) · g(x_t)`` for the first and, with other weights, for the last token of the span.

    f and g are ``layernorm(gelu(x w + b))``. There is one question in a text.

    Attributes:
        d_in: width of the stream.
        question_id: the token that stands for the question; where there is none it is the first one.
        eps: added under the roots of the norms.
    """

    d_in: int
    question_id: int = 104
    eps: float = 1e-5

    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"question_id"})

    def declare(self) -> Declaration:
        """For each end of a span two matrices with norms, and one between them."""
        declaration = Declaration({"d": self.d_in, "in": self.d_in, "out": self.d_in})
        declaration.equations("question[b d] = gather(x)")
        for end in ("start", "end"):
            for name, axes, read, rows in ((f"{end}_question", "in", "question", "b"), (end, "out", "x", "b q")):
                declaration.weights(f"{name}[d | {axes}]", f"{name}_b[{axes}]")
                declaration.weights(f"{name}_norm[{axes}]", f"{name}_norm_b[{axes}]")
                declaration.equations(
                    f"{name}_h[{rows} {axes}] = {read}[{rows} d] {name}[d {axes}]",
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
