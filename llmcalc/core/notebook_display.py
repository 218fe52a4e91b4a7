"""Base class of results, with their evidence and their HTML display in notebooks.

The core knows no reports. The package, which gives out results, registers the function that renders them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .type_names import Any, ClassVar

renderers: list[Callable[[Any], str]] = []  # functions that render a result as HTML; the last one is used


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

    def attributes(self, *names: str) -> dict[str, Any]:
        """Return attributes by name."""
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary})"

    def _repr_html_(self) -> str | None:
        """Return the result as HTML, as in the command line's ``html`` format. Without a renderer, notebooks display
        the plain representation.
        """
        return renderers[-1](self) if renderers else None
