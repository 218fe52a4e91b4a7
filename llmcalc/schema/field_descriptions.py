"""Descriptions of layer kinds, parts and their fields, as their docstrings state them."""

from __future__ import annotations

import inspect
import re

_ENTRY = re.compile(r"^ {4}(\w[\w,\s]*?): (.*(?:\n {8,}.*)*)", re.MULTILINE)


def summary(found: type) -> str:
    """Return the docstring of a class up to ``Attributes:``."""
    return (inspect.getdoc(found) or "").partition("Attributes:")[0].strip()


def field_descriptions(found: type) -> dict[str, str]:
    """Return the field descriptions in the ``Attributes:`` section of a class docstring.

    >>> from llmcalc.layers import find
    >>> field_descriptions(find("mlp")[0])["d_ff"]
    'hidden width.'
    """
    _, _, described = (inspect.getdoc(found) or "").partition("Attributes:")
    return {
        name: " ".join(match[2].split()) for match in _ENTRY.finditer(described) for name in re.split(r",\s+", match[1])
    }
