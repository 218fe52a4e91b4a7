"""Results show themselves in notebooks.

How a result looks is known to ``llmcalc.report`` alone, which nothing in the core may import. So this one thread
outwards goes by name, and is drawn only when a notebook asks.
"""

from __future__ import annotations

_REPORT = "llmcalc.report.notebook"


class NotebookDisplay:
    """Base of results that a notebook can show."""

    def _repr_html_(self) -> str:
        """The result as HTML, as the command line prints it in the format ``html``."""
        from importlib import import_module

        text: str = import_module(_REPORT).html(self)
        return text
