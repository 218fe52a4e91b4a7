"""Scale factors computed from a scalar such as a time step, as in adaptive norms [peebles2022, Section 3.2].

Voxtral Realtime computes the factors from its transcription delay.
"""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel


@record
class Modulation(Layer):
    """``y = x · (1 + gelu(t w1) w2)``, where t consists of cosines and sines of a scalar.

    Attributes:
        d_model: width of the stream, and number of cosines and sines.
        d_hidden: hidden width of the network.
        time: value of the scalar from which the factors are computed.
    """

    d_model: int
    d_hidden: int
    time: float = 1.0

    AXES: ClassVar[str] = """
    mr  d_modulation  hidden width of a modulation network
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="mr")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"time": "cosines and sines of the time"}

    def declare(self) -> Declaration:
        """Declare two weight matrices that are applied once per batch."""
        declaration = Declaration({"d": self.d_model, "mr": self.d_hidden})
        declaration.weights("w1[d | mr]", "w2[mr | d]")
        declaration.equations(
            "m[mr] = time[d] w1[d mr] | constant",
            "m[mr] = gelu(m)",
            "m[d] = m[mr] w2[mr d]",
            "y[b q d] = mul(x, m)",
        )
        return declaration
