"""Features of a vision or audio encoder: the residual stream after selected blocks."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError, short_repr
from ..core.layer import Layer
from ..core.record import record


@record
class Features(Layer):
    """``y = [x_i, x_j, ...]``, the concatenated streams after blocks i, j, ...

    LLaVA [liu2023] uses the second-to-last block, ViP-LLaVA several. Later blocks are computed, but unused.

    Attributes:
        d_model: width of the stream.
        blocks: numbers of the blocks: 1 for the first block, 0 for its input, and -1 for the last block.
        apart: whether the features are a separate output, in addition to the previous one (Qwen3-VL).

    Raises:
        SizeError: ``blocks`` contains values other than integers.
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
        """Declare a selection, without weights."""
        declaration = Declaration({"in": self.d_model * len(self.blocks.split())})
        declaration.equations("y[b q in] = copy(behind[b q in])")
        return declaration
