"""What searches for a way to use given GPUs have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..estimate.hardware import Accelerator


@record
class GpuPlan(NotebookDisplay):
    """Base class of the ways to use GPUs that a search found.

    Attributes:
        accelerator: named GPU, or None if only a memory size was given.
        count: number of GPUs.
        memory: bytes of one GPU.
        reserve: bytes of one GPU for the runtime.
        settings: settings of the workload.
    """

    accelerator: Accelerator | None
    count: int
    memory: int
    reserve: int
    settings: dict[str, Any]

    EVIDENCE: ClassVar[dict[str, str]] = {"memory": "measured", "reserve": "assumed"}

    @property
    def gpus(self) -> str:
        """Number and kind of the GPUs."""
        return f"{self.count} × {self.accelerator.title if self.accelerator else 'GPU'}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        return {"memory": self.memory, "reserve": self.reserve, "count": self.count}
