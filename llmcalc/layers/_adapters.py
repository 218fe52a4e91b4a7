"""Low-rank corrections beside projections that are shared between places of a model [glorioso2024b]."""

from __future__ import annotations


def adapt(source: str, heads: tuple[tuple[str, str], ...]) -> list[str]:
    """Of each projection to heads, by its name and axes, the correction that is added to it."""
    lines = []
    for name, axes in heads:
        lines += [
            f"{name}a[b q ar] = x[b q {source}] w{name}_a[{source} ar]",
            f"{name}l[b q {axes}] = {name}a[b q ar] w{name}_b[ar {axes}]",
            f"{name}[b q {axes}] = add({name}, {name}l)",
        ]
    return lines
