"""Vision or audio encoder features taken from the residual stream after selected blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration
from ..core.errors import short_repr
from ..core.layer import Layer
from ..core.record import record

if TYPE_CHECKING:
    from ..core.shrink import Sizes


@record
class Features(Layer):
    """Concatenation ``y = [x_i, x_j, ...]`` of the residual streams after selected blocks.

    LLaVA [liu2023] uses the second-to-last block, and ViP-LLaVA uses several blocks. Later blocks are computed but
    unused.

    Attributes:
        d_model: width of the stream.
        blocks: numbers of the selected blocks (1 for the first block, 0 for its input, -1 for the last block).
        apart: whether the features are a separate output in addition to the previous output (Qwen3-VL).

    Raises:
        SizeError: if ``blocks`` contains non-integer values.
    """

    d_model: int
    blocks: str = "-1"
    apart: bool = False

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"behind": "residual streams after the listed blocks"}

    IN_ANY_BLOCK: ClassVar[bool] = False

    def _complete(self) -> None:
        if not self.blocks.split() or not all(number.lstrip("-").isdecimal() for number in self.blocks.split()):
            raise self.size_error("blocks", f"must be integers such as -2, not {short_repr(self.blocks)}")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Select the last block for every entry in the small test model, so that all blocks receive a gradient."""
        return {"blocks": " ".join(["-1"] * self.n_concatenated_streams())}

    def n_concatenated_streams(self) -> int:
        """Return the number of selected blocks."""
        return len(self.blocks.split())

    def declare(self) -> Declaration:
        """Declare a copy of the selected streams. The layer has no weights."""
        declaration = Declaration({"in": self.d_model * len(self.blocks.split())})
        declaration.equations("y[b q in] = copy(behind[b q in])")
        return declaration
