"""Positions as waves: a sine and a cosine of each position are added, and nothing is stored."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class Sinusoids(Layer):
    """``y = x + sinusoids``, a sine and a cosine of each wave, for any number of positions.

    [vaswani2017, Section 3.5]. An ``embedding`` with ``learned: false`` is the same as a table with a last row, as most
    implementations keep it.

    Attributes:
        d_model: width of the stream.
        sinusoids: sines in the even columns and cosines in the odd ones (``interleaved``), or sines in the first half
            of them (``halves``), also down to a wave of 10000 positions a radian (``fairseq``), as in ``embedding``.
    """

    d_model: int
    sinusoids: str = "interleaved"

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"sinusoids": ("interleaved", "halves", "fairseq")}
    GIVEN: ClassVar[dict[str, str]] = {**Layer.GIVEN, "sinusoids": "a sine and a cosine of every position"}

    def declare(self) -> Declaration:
        """No tensor: the waves are computed."""
        declaration = Declaration({"d": self.d_model})
        declaration.equations("y[b q d] = add(x, sinusoids)")
        return declaration
