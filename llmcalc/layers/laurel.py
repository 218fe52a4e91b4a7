"""LAuReL residuals with a learned low-rank update [menghani2024]."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel


@record
class Laurel(Layer):
    """``y = x + norm(x left right)``.

    Attributes:
        d_model: input and output width.
        rank: rank of the update.
        norm_eps: epsilon of the norm.
    """

    d_model: int
    rank: int
    norm_eps: float = 1e-6

    PARALLEL: ClassVar[Parallel] = Parallel(whole="rank")

    def declare(self) -> Declaration:
        """Declare the low-rank weights ``[d_model, rank]`` and ``[rank, d_model]``, and the norm."""
        declaration = Declaration({"d": self.d_model, "rank": self.rank})
        declaration.weights("left[d | rank]", "right[rank | d]", "norm[d]")
        declaration.equations(
            "l[b q rank] = x[b q d] left[d rank]",
            "y[b q d] = l[b q rank] right[rank d]",
            "y[b q d] = rmsnorm(y, norm)",
            "y[b q d] = add(y, x)",
        )
        return declaration
