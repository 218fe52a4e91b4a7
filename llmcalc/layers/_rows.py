"""Row counts of layers that do not process exactly one row per token."""

from __future__ import annotations

from typing import Any

from ..core.declaration import Declaration


def with_prompt(rows: str = "q") -> str:
    """Return an expression for ``rows`` plus the ``pt`` learned prompt tokens in the first step of a sequence."""
    return f"{rows} + max(0, 1 - c) * min(q, 1) * pt"


def set_rows(layer: Any, declaration: Declaration) -> None:
    """Set the row axis ``q`` for layers with token copies, merged tokens, a prompt or a fixed number of vectors."""
    axes, rows = declaration.axes, "q"
    if layer.streams > 1:
        axes |= {"ms": layer.streams, "q": "q * ms"}
    if layer.merge > 1:
        rows = axes["q"] = f"ceil(q + {layer.merge - 1 if layer.merge_extra else 0}, {layer.merge})"
    if layer.merge > 1 and layer.merge_whole:
        rows = axes["q"] = f"ceil(max(0, q - {layer.merge - 1}), {layer.merge})"
    if layer.prompt:
        axes |= {"pt": layer.prompt, "q": with_prompt(rows)}
    if layer.n_positions:
        axes["q"] = layer.n_positions
    if layer.n_latents:
        axes["q"] = f"min(q, 1) * {layer.n_latents}"
