"""Base class of the position biases of attention scores, which are defined in ``layers/score_biases/``."""

from __future__ import annotations

from typing import Any, ClassVar

from ...core.declaration import Declaration
from ...core.part import Part
from ...core.record import record


@record
class ScoreBias(Part):
    """Bias that attention adds to its scaled scores. Subclasses declare its tensors and equations.

    Attributes:
        DEPENDS_ON_KEYS: whether a shift of all keys changes the weights of attention.
    """

    DEPENDS_ON_KEYS: ClassVar[bool] = False

    def tensors(self, declaration: Declaration) -> None:
        """Declare the axes and weights of the bias."""

    def lines(self, keys: str) -> list[str]:
        """Return the equations that add the bias to the scores ``s[b h q keys]``."""
        raise NotImplementedError

    def check_layer(self, layer: Any) -> None:
        """Raise a SizeError if the bias does not fit the attention layer."""
