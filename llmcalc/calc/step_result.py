"""Results about one step of a model, with a summary and the values of the workload symbols."""

from __future__ import annotations

from functools import cached_property

from ..core.architecture import Architecture
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.type_names import Any, ClassVar
from ..core.workload import Workload


@record
class StepResult(NotebookDisplay):
    """A result about one step of a model.

    Attributes:
        HEADLINE: main number of the result in its summary, as a format of the result.
    """

    architecture: Architecture
    workload: Workload

    HEADLINE: ClassVar[str] = ""

    @property
    def summary(self) -> str:
        """One-line summary of the main number and the workload."""
        step = self.workload
        return f"{self.architecture.name}: {self.HEADLINE.format(self)}, batch {step.batch}, seq {step.seq}"

    @cached_property
    def values(self) -> dict[str, Any]:
        """Values of the workload symbols."""
        return self.workload.values(self.architecture)
