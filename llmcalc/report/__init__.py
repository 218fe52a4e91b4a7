"""Presentation of results: one document per command, one file per output format."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .document import Document


@cache
def format_names() -> tuple[str, ...]:
    """Return the names of all output formats, which are the files in ``formats``."""
    import os

    folder = os.path.join(os.path.dirname(__file__), "formats")
    return tuple(sorted(file[:-3] for file in os.listdir(folder) if file.endswith(".py") and file != "__init__.py"))


def render(document: Document, form: str) -> str:
    """Render the document in the format ``form``, importing only the module of that format."""
    from importlib import import_module

    text = import_module(f".formats.{form}", __name__).render(document)
    assert isinstance(text, str)
    return text
