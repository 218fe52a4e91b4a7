"""Row counts of layers that do not process exactly one row per token."""

from __future__ import annotations


def with_prompt(rows: str = "q") -> str:
    """Return an expression for ``rows`` plus the ``pt`` learned prompt tokens in the first step of a sequence."""
    return f"{rows} + max(0, 1 - c) * min(q, 1) * pt"
