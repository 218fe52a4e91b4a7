"""What a fit check solves for, and the solution."""

from __future__ import annotations

from ..calc.memory.fit import Fit
from ..core.record import NamedTuple, record

LAYERS, EXPERTS = "gpu-layers", "cpu-experts"
OFFLOADS = {LAYERS: "gpu_layers", EXPERTS: "cpu_experts"}  # what is solved for, and the setting of llama.cpp


class Candidate(NamedTuple):
    """A weight format, its average bits per weight, and the fit check for this format."""

    name: str
    fit: Fit
    bits: float


@record
class Solution:
    """The quantity to solve for (``asked``), the solution (None if nothing fits), any weight formats tried, and the
    largest context that fits if the solution is the shorter one that the model accepts. If ``is_unlimited``, the memory
    does not limit the size, and the solution is what the model accepts, or None if it has no limit or an unknown one.
    """

    asked: str
    value: int | str | None
    candidates: tuple[Candidate, ...] = ()
    in_memory: int | None = None
    is_unlimited: bool = False
