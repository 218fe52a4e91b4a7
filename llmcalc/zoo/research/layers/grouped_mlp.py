"""Feed-forward layer with block-diagonal matrices (SqueezeBERT [iandola2020], ConvBERT [jiang2020])."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers.mlp import ACTIVATIONS
from .grouped_linear import GroupedLinear


@record
class GroupedMlp(Layer):
    """``y = act(x w1) w2`` with grouped matrices and biases.

    Attributes:
        d_model: width of input and output.
        d_ff: hidden width.
        activation: activation function applied to the hidden values.
        groups: number of groups of the first matrix.
        out_groups: number of groups of the second matrix.
    """

    d_model: int
    d_ff: int
    activation: str = "gelu"
    groups: int = 1
    out_groups: int = 1

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="f")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"u": "the hidden values"}
    SHRINK: ClassVar[dict[str, str]] = {"groups out_groups": "3 2"}

    def __post_init__(self) -> None:
        self.check()
        for name in ("groups", "out_groups"):
            self.must_divide(name, "d_model")
            self.must_divide(name, "d_ff")

    def declare(self) -> Declaration:
        """Declare the two grouped projections and the activation."""
        declaration = Declaration({"f": self.d_ff})
        declaration.include("up", GroupedLinear(self.d_model, self.d_ff, self.groups), gives="u")
        declaration.equations(f"u[b q f] = {self.activation}(u)")
        down = GroupedLinear(self.d_ff, self.d_model, self.out_groups)
        declaration.include("down", down, of="u", gives="y")
        return declaration
