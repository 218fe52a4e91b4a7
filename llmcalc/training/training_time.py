"""Estimated time of a training step with its interval, and the utilisation that follows from it."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.architecture import Architecture
from ..core.interval import Interval
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.type_names import Any, ClassVar
from ..estimate.cost import Span
from ..serving.calibration import CalibratedSteps
from .step import TrainingStep

GIVEN, FASTEST, WITHOUT_ROOM = "given", "fastest", "without room"  # origin of a layout


@record
class TrainingTime(NotebookDisplay):
    """Time of a training step.

    Attributes:
        architecture: the model.
        step: time of the step by part, and its layout.
        interval: interval of 80 % of the time.
        tokens: tokens of the step.
        gpus: number of GPUs of the layout.
        flops: model FLOPs of the step on all GPUs.
        peak: FLOP/s of one GPU in the number format of the matrix products.
        origin: ``given``, ``fastest`` (of the usual layouts that fit) or ``without room`` (no usual layout fits).
        program: title of the training program, which says if it is unknown, or empty if none is named.
        calibrated: measured steps that calibrate the time, or None.
    """

    architecture: Architecture
    step: TrainingStep
    interval: Interval
    tokens: int
    gpus: int
    flops: float
    peak: float
    origin: str
    program: str = ""
    calibrated: CalibratedSteps | None = None

    EVIDENCE: ClassVar[dict[str, str]] = {"seconds": "measured", "mfu": "measured"}

    @property
    def summary(self) -> str:
        """One-line summary of the step."""
        return f"{self.architecture.name}: {self.seconds:.4g} s a step, MFU {self.mfu:.1%}"

    @property
    def basis(self) -> str:
        """Program and measured steps that the time rests on."""
        own = self.calibrated
        steps = f", calibrated on {own.n_steps:,} step{'s' * (own.n_steps != 1)}" if own else ""
        return f"{self.program or 'any program'}{steps}"

    @property
    def seconds(self) -> float:
        """Time of the step."""
        return self.step.seconds

    @property
    def low(self) -> float:
        """Lower end of the interval of 80 %."""
        return float(self.interval.low)

    @property
    def high(self) -> float:
        """Upper end of the interval of 80 %."""
        return float(self.interval.high)

    @property
    def parts(self) -> Mapping[str, float]:
        """Seconds of the slowest rank by part."""
        return self.step.parts

    @property
    def mfu(self) -> float:
        """Model FLOPs utilisation."""
        return self.utilisation.mid

    @property
    def utilisation(self) -> Span:
        """Model FLOPs utilisation, with the ends of the interval."""
        of_second = self.flops / self.gpus / self.peak
        return Span(of_second / self.high, of_second / self.seconds, of_second / self.low)

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second and GPU."""
        return self.tokens / self.step.seconds / self.gpus

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        layout, mesh = self.step.layout, self.step.layout.mesh
        sizes = ("dp", "tp", "pp", "ep", "cp", "zero", "virtual_stages")
        return {
            "seconds": self.step.seconds, "low": self.interval.low, "high": self.interval.high,
            "parts": dict(self.step.parts), "hidden": self.step.hidden, "tokens": self.tokens, "gpus": self.gpus,
            "tokens_per_second": self.tokens_per_second, "tokens_per_s_gpu": self.tokens_per_second,
            "mfu": self.utilisation._asdict(),
            "mesh": {name: getattr(mesh, name) for name in sizes}, "micro_batches": mesh.batches,
            "calibration": self.calibrated.to_dict() if self.calibrated else None,
            "micro_batch": layout.micro_batch, "recompute": layout.recompute, "layout": self.origin,
            "program": self.program, "reasons": list(self.interval.reasons),
        }  # fmt: skip
