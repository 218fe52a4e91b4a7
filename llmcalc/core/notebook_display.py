"""HTML display of results in notebooks.

``llmcalc.report`` renders results, but the core may not import it, so it is imported by name when a notebook asks.
"""

from __future__ import annotations


class NotebookDisplay:
    """Base of results: one line as text, a table in a notebook."""

    @property
    def summary(self) -> str:
        """The result in one line."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary})"

    def _repr_html_(self) -> str:
        """The result as HTML, as the command line prints it in the format ``html``."""
        from importlib import import_module

        text: str = import_module("llmcalc.report.notebook").html(self)
        return text
