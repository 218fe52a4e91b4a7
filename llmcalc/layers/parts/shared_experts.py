"""Shared experts of a mixture, which process every token [dai2024]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ...core.part import Part
from ...core.record import changed, record
from ..mlp import ACTIVATIONS, Mlp
from .bounds import UNBOUNDED

if TYPE_CHECKING:
    from ...core.declaration import Declaration

SHARED = "shared experts"  # component of the breakdowns


@record
class SharedExperts(Part):
    """Shared experts, which form one feed-forward layer.

    Attributes:
        d_ff: total hidden width; 0 if only the gate is stored.
        activation: activation function (default: that of the routed experts).
        gated: whether the layer is gated (default: as the routed experts).
        clamped: whether the layer is clamped like the routed experts.
        clamp: clamp bound, if different.
        bias: whether the matrices have biases.
        gate: whether a learned gate ``sigmoid(x w)`` scales the output (Qwen).
        scale: scaling factor for the output.
    """

    d_ff: int
    activation: str | None = None
    gated: bool | None = None
    clamped: bool = True
    clamp: float | None = None
    bias: bool = False
    gate: bool = False
    scale: float = 1.0

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"d_ff"})
    SHRINK: ClassVar[dict[str, str]] = {"d_ff": "d_ff_shared"}

    def declare(self, declaration: Declaration, experts: Any) -> None:
        """Declare the shared experts. ``experts`` is the layer with the options of the routed experts."""
        declaration.component = SHARED
        if self.d_ff:
            declaration.include("shared", self._layer(experts))
        if self.gate:
            declaration.weights("shared_gate[d |]")
            declaration.equations("sg[b q] = x[b q d] shared_gate[d]", "sg[b q] = sigmoid(sg)")
            declaration.equations("sy[b q d] = mul(sg, shared[b q d])")
        if self.d_ff:
            declaration.equations(f"y[b q d] = add(y, {'sy' if self.gate else 'shared'})")

    def _layer(self, experts: Any) -> Mlp:
        bounds = experts.bounds or UNBOUNDED
        own = changed(
            bounds,
            clamp=self.clamp or (bounds.clamp if self.clamped else None),
            up_softcap=bounds.up_softcap if self.gated else None,
        )
        function = self.activation or experts.activation
        return Mlp(experts.d_model, self.d_ff, function, bool(self.gated), self.bias, bounds=own)


@record
class ScoredSharedExperts(Part):
    """Shared experts with the width of routed experts, whose outputs are weighted by the router (Inkling).

    Attributes:
        n: number of shared experts.
    """

    n: int

    SHRINK: ClassVar[dict[str, str]] = {"n": "n_shared"}

    def declare(self, declaration: Declaration, experts: Any) -> None:
        """Declare the shared experts. ``experts`` is the layer with the options of the routed experts."""
        declaration.component = SHARED
        up = (["wg"] if experts.gated else []) + ["wu"]
        declaration.weights(*(f"shared_{name}[m; d | f]" for name in up), "shared_wd[m; f | d]")
        for name in up:
            declaration.equations(f"s{name[1]}[b q m f] = x[b q d] shared_{name}[m d f]")
        gated = [f"sa[b q m f] = {experts.activation}(sg)", "sm[b q m f] = mul(sa, su)"]
        declaration.equations(*(gated if experts.gated else [f"sm[b q m f] = {experts.activation}(su)"]))
        declaration.equations(
            "sm[b q m f] = mul(sm, share)",
            "sy[b q m d] = sm[b q m f] shared_wd[m f d]",
            "y[b q d] = add(y, sy[b q m d])",
        )
