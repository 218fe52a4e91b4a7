"""Latent space, narrower than the residual stream, in which the routed experts run (Nemotron 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ...core.part import Part
from ...core.record import record

if TYPE_CHECKING:
    from ...core.declaration import Declaration


@record
class Latent(Part):
    """Projections of the experts' input to a latent space and of the sum of their outputs back to the stream.

    Attributes:
        width: width of the latent space.
        bias: whether the projections have biases.
        in_norm: whether the projected input has an RMSNorm (Muse Spark).
        norm: whether the sum of the experts has an RMSNorm before the up-projection (Kimi K3).
        eps: epsilon of the norms.
    """

    width: int
    bias: bool = False
    in_norm: bool = False
    norm: bool = False
    eps: float = 1e-6

    SHRINK: ClassVar[dict[str, str]] = {"width": "d_latent"}

    def project_in(self, declaration: Declaration) -> None:
        """Declare both projections, and the equations from ``x`` to the experts' input ``xl``."""
        declaration.axes["l"] = self.width
        declaration.weights("w_in[d | l]", "w_out[l | d]", *(["b_in[l]", "b_out[d]"] if self.bias else []))
        declaration.equations("xl[b q l] = x[b q d] w_in[d l]")
        declaration.equations(*(["xl[b q l] = add(xl, b_in)"] if self.bias else []))
        if self.in_norm:
            declaration.weights("norm_in[l]")
            declaration.equations("xl[b q l] = rmsnorm(xl, norm_in)")

    def project_out(self, declaration: Declaration) -> None:
        """Declare the equations from the sum of the experts ``yl`` to the output ``y``."""
        if self.norm:
            declaration.weights("latent_norm[l]")
            declaration.equations("yl[b q l] = rmsnorm(yl, latent_norm)")
        declaration.equations("y[b q d] = yl[b q l] w_out[l d]")
        declaration.equations(*(["y[b q d] = add(y, b_out)"] if self.bias else []))
