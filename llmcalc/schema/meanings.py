"""What the fields of a record mean: its class's docstring says so once, under ``Attributes:``, and is read here."""

from __future__ import annotations

import inspect
import re

_ENTRY = re.compile(r"^ {4}(\w[\w,\s]*?): (.*(?:\n {8,}.*)*)", re.MULTILINE)


def summary(found: type) -> str:
    """The docstring of a class, up to its attributes."""
    return (inspect.getdoc(found) or "").partition("Attributes:")[0].strip()


def meanings(found: type) -> dict[str, str]:
    """The meaning of each field that the docstring of a class describes.

    >>> from llmcalc.layers import find
    >>> meanings(find("mlp")[0])["d_ff"]
    'hidden width.'
    """
    _, _, described = (inspect.getdoc(found) or "").partition("Attributes:")
    return {
        name: " ".join(match[2].split()) for match in _ENTRY.finditer(described) for name in re.split(r",\s+", match[1])
    }
