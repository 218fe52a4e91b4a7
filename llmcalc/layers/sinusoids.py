"""Sinusoidal position embeddings that are computed rather than read from a table."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class Sinusoids(Layer):
    """Sinusoidal positions ``y = x + sinusoids`` for sequences of any length [vaswani2017, Section 3.5].

    An ``embedding`` with ``learned: false`` uses a table of limited length instead.

    Attributes:
        d_model: width of the stream.
        sinusoids: column order: ``interleaved``, ``halves`` or ``fairseq``, as in ``embedding``.
    """

    d_model: int
    sinusoids: str = "interleaved"

    HAS_ORDER: ClassVar[bool] = True
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"sinusoids": ("interleaved", "halves", "fairseq")}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"sinusoids": "sinusoids of every position"}

    def declare(self) -> Declaration:
        """Declare an equation that adds computed sinusoids to the input."""
        declaration = Declaration({"d": self.d_model})
        declaration.equations("y[b q d] = add(x, sinusoids)")
        return declaration
