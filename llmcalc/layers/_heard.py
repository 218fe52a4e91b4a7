"""How many results a layer has for frames of sound."""

from __future__ import annotations


def results(span: int, chunk: int | None = None, reach: int | None = None) -> str:
    """One for each ``span`` frames; of chunks apart from each other, the last padded to as many frames as the first;
    without padding at the ends, if each is made of ``reach`` frames.

    >>> results(2), results(8, 100), results(20, reach=50)
    ('ceil(a, 2)', 'ceil(min(a, 100), 8) * ceil(a, 100)', 'ceil(max(0, a - 49), 20)')
    >>> results(1), results(1, 100), results(1, reach=3)
    ('a', 'min(a, 100) * ceil(a, 100)', 'max(0, a - 2)')
    """
    heard = f"min(a, {chunk})" if chunk else f"max(0, a - {reach - 1})" if reach and reach > 1 else "a"
    once = f"ceil({heard}, {span})" if span > 1 else heard
    return f"{once} * ceil(a, {chunk})" if chunk else once
