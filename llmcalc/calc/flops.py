"""FLOPs: 2 per multiply-accumulate, folded over the equations; exact integers for matrix products and convolutions."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ..core.architecture import Architecture
from ..core.form import Form, lift
from ..core.record import record
from ..core.workload import Workload
from .work import Conventions, Work, works


@record
class Flops:
    """The floating-point operations of one step.

    ``forms`` hold the closed forms: ``{"matmul": Form, "other": Form}`` of the forward pass and, in training, of the
    backward pass.
    """

    architecture: Architecture
    workload: Workload
    works: tuple[Work, ...]

    @cached_property
    def matmul_form(self) -> Form:
        """Contractions and convolutions of the forward pass."""
        return _sum(self.works, matmul=True)

    @cached_property
    def other_form(self) -> Form:
        """Elementwise work, scans and transforms of the forward pass; modelled."""
        return _sum(self.works, matmul=False)

    @cached_property
    def forward(self) -> int:
        """Contractions of the forward pass."""
        return int(self.matmul_form(**self.workload.values(self.architecture)))

    @cached_property
    def backward(self) -> int:
        """Contractions of the backward pass: two for each of the forward pass, where a gradient flows."""
        if self.workload.mode != "train":
            return 0
        with_gradient = [work for work in self.works if "nograd" not in work.equation.tags]
        halved = [work for work in with_gradient if "constant" in work.equation.tags]
        form = _sum(with_gradient, matmul=True) * 2 - _sum(halved, matmul=True)
        return int(form(**self.workload.values(self.architecture)))

    @cached_property
    def matmul(self) -> int:
        """FLOPs of contractions and convolutions alone."""
        return self.forward + self.backward

    @cached_property
    def other(self) -> int:
        """Elementwise work, scans and transforms (twice more in a backward pass); modelled."""
        forward = int(self.other_form(**self.workload.values(self.architecture)))
        return 3 * forward if self.workload.mode == "train" else forward

    @cached_property
    def total(self) -> int:
        """All FLOPs."""
        return self.matmul + self.other

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        return {
            "total": self.total,
            "matmul": self.matmul,
            "other": self.other,
            "forward": self.forward,
            "backward": self.backward,
            "closed_form": str(self.matmul_form),
        }


def flops(architecture: Architecture, **workload: Any) -> Flops:
    """The FLOPs of a workload; the keywords are the fields of ``Workload``.

    >>> import llmcalc
    >>> print(llmcalc.flops(llmcalc.load("gpt3"), attention="dense").matmul_form)
    349,127,467,008·b·q + 4,718,592·b·q·k
    """
    chosen = Workload(**workload)
    attention = "dense" if chosen.convention == "torch" else chosen.attention
    conventions = Conventions(chosen.phase, attention, chosen.convention, chosen.logits)
    return Flops(architecture, chosen, works(architecture, conventions))


def _sum(found: Any, matmul: bool) -> Form:
    total = lift(0)
    for work in found:
        if work.matmul is matmul:
            total = total + work.flops * work.entry.applied
    return total
