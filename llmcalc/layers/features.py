"""Features of a vision or audio encoder: the residual stream after some of its blocks."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError, short_repr
from ..core.layer import Layer
from ..core.record import record


@record
class Features(Layer):
    """``y = [x_i, x_j, ...]``, the concatenated streams after blocks i, j, ...

    LLaVA [liu2023] uses the last block but one, ViP-LLaVA several. Later blocks are computed, but unused.

    Attributes:
        d_model: width of the stream.
        blocks: numbers of the blocks: 1 is the first, 0 its input, and -1 the last.
        apart: whether it starts another output, separate from the one before (Qwen3-VL).

    Raises:
        SizeError: ``blocks`` contains something other than integers.
    """

    d_model: int
    blocks: str = "-1"
    apart: bool = False

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"behind": "residual streams after the listed blocks"}

    def __post_init__(self) -> None:
        self.check()
        if not self.blocks.split() or not all(number.lstrip("-").isdecimal() for number in self.blocks.split()):
            raise SizeError(f"blocks is {short_repr(self.blocks)}; it must be integers such as -2", where="features")

    def declare(self) -> Declaration:
        """No tensors: a selection."""
        declaration = Declaration({"in": self.d_model * len(self.blocks.split())})
        declaration.equations("y[b q in] = copy(behind[b q in])")
        return declaration
