"""HTML display of results in notebooks.

``llmcalc.report`` renders the results and is imported by name, since the core may not depend on the report room.
"""

from __future__ import annotations


class NotebookDisplay:
    """Base class of results, which are shown as one line of text or as a table in a notebook."""

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary})"

    def _repr_html_(self) -> str:
        """Return the result as HTML, as printed by the command line in the format ``html``."""
        from importlib import import_module

        text: str = import_module("llmcalc.report.notebook").html(self)
        return text
