"""How large a description may be: enough for any model, too little to hurt."""

from __future__ import annotations

from typing import Any

from ..core.errors import DescriptionError

LARGEST_FILE = 2_000_000
DEEPEST = 40
MOST_NODES = 100_000


def check_bounds(data: Any, where: str) -> None:
    """Raise unless plain data is shallow and small; what YAML files are held to while they are read.

    Raises:
        DescriptionError: nested deeper than DEEPEST, or more than MOST_NODES values.
    """
    level, nodes = [data], 0
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for value in level:
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
            nodes += len(parts)
            if nodes > MOST_NODES:
                raise DescriptionError(f"more than {MOST_NODES:,} values", where=where)
            inner.extend(parts)
        if not inner:
            return
        level = inner
    raise DescriptionError(f"nested deeper than {DEEPEST} levels", where=where)
