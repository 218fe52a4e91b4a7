"""Sinusoidal positions, computed and added to the stream without a stored table."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class Sinusoids(Layer):
    """``y = x + sinusoids``, for any number of positions [vaswani2017, Section 3.5].

    An ``embedding`` with ``learned: false`` uses a table of limited length instead.

    Attributes:
        d_model: width of the stream.
        sinusoids: order of the columns: ``interleaved``, ``halves`` or ``fairseq``, as in ``embedding``.
    """

    d_model: int
    sinusoids: str = "interleaved"

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"sinusoids": ("interleaved", "halves", "fairseq")}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"sinusoids": "sinusoids of every position"}

    def declare(self) -> Declaration:
        """Declare computed sinusoids, without weights."""
        declaration = Declaration({"d": self.d_model})
        declaration.equations("y[b q d] = add(x, sinusoids)")
        return declaration
