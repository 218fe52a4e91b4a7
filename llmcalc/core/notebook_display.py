"""HTML display of results in notebooks.

The renderer in ``llmcalc.report`` is imported dynamically because the core must not depend on reports.
"""

from __future__ import annotations


class NotebookDisplay:
    """Base class for results, which notebooks display as tables. The plain representation is a single line."""

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
