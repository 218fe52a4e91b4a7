"""From characters to groups of them and back [clark2021, Section 3.3]: convolutions along the tokens."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....layers.mlp import ACTIVATIONS
from .character_attention import whole_groups


@record
class CharacterPooling(Layer):
    """``y = norm([x_1, act(conv(x))])`` of every group of tokens but the last; ``back``: ``norm(act(conv([x, y])))``.

    Attributes:
        d_in: width of the stream.
        merge: tokens of a group.
        taps: width of the kernel (default: merge).
        activation: behind the convolution, as in ``mlp``.
        back: each group stands for its tokens again, beside what they were before.
        eps: added under the root of the norm.
    """

    d_in: int
    merge: int
    taps: int | None = None
    activation: str = "gelu"
    back: bool = False
    eps: float = 1e-12

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        **Layer.EXTERNAL_TENSORS,
        "characters": "the stream before tokens became groups",
    }

    def __post_init__(self) -> None:
        self.check()
        self.derive(taps=self.merge)

    def declare(self) -> Declaration:
        """Weight ``[d_in, d_in, taps]``, or ``[d_in, 2 d_in, taps]``, with a bias, and a norm."""
        axes: dict[str, int | str] = {"out": self.d_in, "taps": int(self.taps or 0), "qg": whole_groups(self.merge)}
        read = "both" if self.back else "in"
        declaration = Declaration({**axes, read: 2 * self.d_in if self.back else self.d_in})
        if self.back:
            declaration.axes["in"] = self.d_in
        declaration.weights(f"w[out; {read}; taps]", "b[out]", "norm[out]", "norm_b[out]")
        rows = "q" if self.back else "qg"
        source = f"z[b q {read}]" if self.back else "x[b qg taps in]"
        if self.back:
            declaration.equations("spread[b q in] = gather(x[b qg in])")
            declaration.equations("z[b q both] = copy(characters[b q in], spread[b q in])")
        declaration.equations(
            f"y[b {rows} out] = {source} w[out {read} taps]",
            f"y[b {rows} out] = add(y, b)",
            f"y[b {rows} out] = {self.activation}(y)",
        )
        if not self.back:
            declaration.equations("y[b qg out] = copy(x[b q in], y)")
        declaration.equations(f"y[b {rows} out] = layernorm(y, norm, norm_b)")
        return declaration
