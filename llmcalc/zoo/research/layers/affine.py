"""A learned scale and offset per channel, with an optional second pair for the residual stream."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class Affine(Layer):
    """``y = (x + b) w``, or ``y = (x + b) w + (r + rb) rw``, where r is the residual stream.

    Attributes:
        d_model: width of the stream.
        residual: whether the residual stream also has a scale and an offset.
        scale_first: whether to apply the scale before the offset, as in ``y = x w + b`` (MobileBERT).
    """

    d_model: int
    residual: bool = False
    scale_first: bool = False

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"r": "the residual stream"}

    IN_ANY_BLOCK: ClassVar[bool] = False

    def declare(self) -> Declaration:
        """Declare two or four vectors of shape ``[d_model]``."""
        declaration = Declaration({"d": self.d_model})
        declaration.weights("w[d]", "b[d]", *(["rw[d]", "rb[d]"] if self.residual else []))
        declaration.equations("y[b q d] = add(x, b)", "y[b q d] = mul(y, w)")
        if self.residual:
            declaration.equations("r[b q d] = add(r, rb)", "r[b q d] = mul(r, rw)")
        return declaration
