"""What a language model takes of a tower: the stream behind some of its blocks."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError, shown
from ..core.layer import Layer
from ..core.record import record


@record
class Features(Layer):
    """``y = [x_i, x_j, ...]``, the stream behind blocks i, j and so on, side by side.

    As in LLaVA, which takes what the last block but one gives, and ViP-LLaVA, which takes several. What the
    blocks behind them give is computed, and of no use.

    Attributes:
        d_model: width of the stream.
        blocks: numbers of these blocks: 1 is the first, 0 what it gets, and -1 the last.
        apart: what is made of it is a result of its own, beside the one before it (Qwen3-VL).

    Raises:
        SizeError: blocks that are no whole numbers.
    """

    d_model: int
    blocks: str = "-1"
    apart: bool = False

    GIVEN: ClassVar[dict[str, str]] = {**Layer.GIVEN, "behind": "the stream behind the blocks that are named"}

    def __post_init__(self) -> None:
        self.check()
        if not self.blocks.split() or not all(number.lstrip("-").isdecimal() for number in self.blocks.split()):
            raise SizeError(f"blocks is {shown(self.blocks)}; it is whole numbers, such as -2", where="features")

    def declare(self) -> Declaration:
        """No tensor: a choice."""
        declaration = Declaration({"in": self.d_model * len(self.blocks.split())})
        declaration.equations("y[b q in] = copy(behind[b q in])")
        return declaration
