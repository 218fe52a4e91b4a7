"""Convolutions that merge characters into groups or expand groups to characters [clark2021, Section 3.3]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel
from ....layers.mlp import ACTIVATIONS
from .character_attention import n_groups

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class CharacterPooling(Layer):
    """``norm([x_1, act(conv(x))])`` without the last group, or ``norm(act(conv([c, x])))`` if ``back`` is set.

    Attributes:
        d_in: width of the stream.
        merge: number of tokens per group.
        taps: kernel size (default: merge).
        activation: activation function after the convolution, as in ``mlp``.
        back: whether to expand groups to tokens and concatenate them with c, the stream before merging.
        eps: epsilon of the norm.
    """

    d_in: int
    merge: int
    taps: int | None = None
    activation: str = "gelu"
    back: bool = False
    eps: float = 1e-12

    AXES: ClassVar[str] = """
    both  2 d_model  two concatenated streams
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="both in out taps")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"characters": "the stream before tokens were merged"}
    INPUT_WIDTH: ClassVar[str] = "d_in"
    SHRINK: ClassVar[dict[str, str]] = {"d_in": "width", "merge": "keep", "taps": "at most 5"}

    def _complete(self) -> None:
        self.derive(taps=self.merge)

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return a kernel size that spans one group, or a token and its neighbours."""
        return {"taps": self.merge if self.taps == self.merge else 4} if "taps" in small else {}

    def declare(self) -> Declaration:
        """Declare a weight ``[d_in, d_in, taps]`` or ``[d_in, 2 d_in, taps]``, a bias, and a norm."""
        axes: dict[str, int | str] = {"out": self.d_in, "taps": int(self.taps or 0), "qg": n_groups(self.merge)}
        width, rows, source = ("both", "q", "z[b q both]") if self.back else ("in", "qg", "x[b qg taps in]")
        declaration = Declaration(axes | ({"both": 2 * self.d_in} if self.back else {}) | {"in": self.d_in})
        declaration.weights(f"w[out; {width}; taps]", "b[out]", "norm[out]", "norm_b[out]")
        if self.back:
            declaration.equations("spread[b q in] = gather(x[b qg in])")
            declaration.equations("z[b q both] = copy(characters[b q in], spread[b q in])")
        declaration.equations(
            f"y[b {rows} out] = {source} w[out {width} taps]",
            f"y[b {rows} out] = add(y, b)",
            f"y[b {rows} out] = {self.activation}(y)",
            *([] if self.back else ["y[b qg out] = copy(x[b q in], y)"]),
            f"y[b {rows} out] = layernorm(y, norm, norm_b)",
        )
        return declaration
