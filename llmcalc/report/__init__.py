"""Presentation of results, with one report per command and one module per output format."""

from __future__ import annotations

from functools import cache

from ..core.type_names import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .document import Document

PARTIAL = ("svg", "tree")  # formats of reports with a chart or a derivation


@cache
def format_names() -> tuple[str, ...]:
    """Return the names of all output formats, one per module in ``formats``."""
    import os

    folder = os.path.join(os.path.dirname(__file__), "formats")
    return tuple(sorted(file[:-3] for file in os.listdir(folder) if file.endswith(".py") and file != "__init__.py"))


def render(document: Document, form: str, **style: Any) -> str:
    """Render the report in the format ``form``. Only the module of the requested format is imported.

    ``style`` are keyword arguments of the format, such as ``color="always"`` for ``table``.
    """
    from importlib import import_module

    from .document import printable_document

    return str(import_module(f".formats.{form}", __name__).render(printable_document(document), **style))
