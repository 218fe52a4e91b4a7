"""Factors on the stream, made of a number that is the same for all tokens: adaptive norms [peebles2022, Section 3.2].

Voxtral Realtime makes them of its delay.
"""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class Modulation(Layer):
    """``y = x · (1 + gelu(t w1) w2)``, where t are cosines and sines of a time.

    Attributes:
        d_model: width of the stream, and of t; it is even.
        d_hidden: hidden width of the network.
        time: the number that the factors are made of.
    """

    d_model: int
    d_hidden: int
    time: float = 1.0

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {**Layer.EXTERNAL_TENSORS, "time": "cosines and sines of the time"}

    def __post_init__(self) -> None:
        self.check()

    def declare(self) -> Declaration:
        """Two matrices, which run once for a whole batch."""
        declaration = Declaration({"d": self.d_model, "mr": self.d_hidden})
        declaration.weights("w1[d | mr]", "w2[mr | d]")
        declaration.equations(
            "m[mr] = time[d] w1[d mr] | constant",
            "m[mr] = gelu(m)",
            "m[d] = m[mr] w2[mr d]",
            "y[b q d] = mul(x, m)",
        )
        return declaration
