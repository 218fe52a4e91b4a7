"""What each command asks, in words: its help, its examples and the panels of its help (``data/questions.yaml``)."""

from __future__ import annotations

from typing import Any

from ..data import table


def texts(part: str) -> dict[str, Any]:
    """Return the ``headings`` of the help, the help of ``groups``, the ``panels`` of all commands, or the ``commands``.

    >>> texts("groups")["laws"]
    'Show scaling laws.'
    """
    found: dict[str, Any] = table("questions")[part]
    return found


def examples(name: str) -> list[str]:
    """Return the examples of a command, which its help prints and the tests run."""
    return list(texts("commands")[name]["examples"])


def panels_of(name: str) -> dict[str, str]:
    """Return the panels that are a command's own."""
    return dict(texts("commands")[name].get("panels", {}))
