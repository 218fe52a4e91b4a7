"""How many results a layer has for frames of sound."""

from __future__ import annotations


def results(span: int, chunk: int | None) -> str:
    """One for each ``span`` frames; of chunks apart from each other, the last padded to as many frames as the first.

    >>> results(2, None), results(8, 100)
    ('ceil(a, 2)', 'ceil(min(a, 100), 8) * ceil(a, 100)')
    """
    return f"ceil(min(a, {chunk}), {span}) * ceil(a, {chunk})" if chunk else f"ceil(a, {span})"
