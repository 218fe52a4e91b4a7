"""Parameter-free token mixing with a Fourier transform (FNet) [leethorp2021]."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class FourierMixing(Layer):
    """``y = Re(F_tokens(F_width(x)))``, where F is a discrete Fourier transform.

    Attributes:
        d_model: width of input and output.
    """

    d_model: int

    def declare(self) -> Declaration:
        """Declare a Fourier transform along the width and another along the tokens."""
        declaration = Declaration({"d": self.d_model})
        declaration.equations("y[b q d] = fft(x) | over:d", "y[b q d] = fft(y) | over:q")
        return declaration
