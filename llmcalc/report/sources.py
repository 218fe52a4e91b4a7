"""Citations: from the key in a preset, such as ``brown2020``, to the paper."""

from __future__ import annotations

from ..data import table


def cite(source: str) -> str:
    """``brown2020 Table 2.1`` followed by the paper, if its first word is a known key."""
    key = source.split(" ", 1)[0].rstrip(",;:")
    entry = table("sources").get(key)
    if entry is None:
        return source
    text = ", ".join(str(value) for value in entry.values()) if isinstance(entry, dict) else str(entry)
    return f"{source} ({text})"
