"""A learned blend of the residual stream and the input of the first block, as in NeoMME."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel


@record
class Blend(Layer):
    """``y = λ1 x + λ2 x0``, where λ1 and λ2 are learned scalars and x0 is the input of the first block.

    Attributes:
        d_model: width of the stream.
    """

    d_model: int

    AXES: ClassVar[str] = """
    bl  n_blended  blended streams: the residual stream and the initial embedding
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="bl")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"x0": "the first input of the stack's blocks"}

    def declare(self) -> Declaration:
        """Declare the two scalars as a vector ``[2]``."""
        declaration = Declaration({"d": self.d_model, "bl": 2})
        declaration.weights("lambdas[bl]")
        declaration.equations("y[b q d] = mul(x, lambdas)", "z[b q d] = mul(x0, lambdas)", "y[b q d] = add(y, z)")
        return declaration
