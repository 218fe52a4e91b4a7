"""Base class of results, with their evidence and their HTML display in notebooks.

The renderer in ``llmcalc.report`` is imported dynamically because the core must not depend on reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class NotebookDisplay:
    """Base class for results, which notebooks display as tables. The plain representation is a single line.

    Attributes:
        EVIDENCE: class of evidence of each value if all sizes of the model are known (``core/evidence.py``).
    """

    EVIDENCE: ClassVar[Mapping[str, str]] = {}

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value: ``executed``, ``exact``, ``measured``, ``fitted`` or ``assumed``."""
        from .architecture import model_of
        from .evidence import of_architecture

        architecture = getattr(self, "architecture", None)
        return of_architecture(self.EVIDENCE, model_of(architecture)[0]) if architecture else dict(self.EVIDENCE)

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary})"

    def _repr_html_(self) -> str:
        """Return the result as HTML, as in the command line's ``html`` format."""
        from importlib import import_module

        text: str = import_module("llmcalc.report.notebook").html(self)
        return text
