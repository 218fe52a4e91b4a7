"""How many routed experts a step touches: what has to be read, between one token's top_k and all of them."""

from __future__ import annotations

from typing import NamedTuple

from ..core.architecture import Architecture
from ..core.ledger import entries


class Experts(NamedTuple):
    """Layers with equal routed experts."""

    layers: int
    n_experts: int
    top_k: int


def experts(architecture: Architecture) -> list[Experts]:
    """The mixtures of an architecture; equal layers together."""
    found: dict[tuple[int, int], int] = {}
    for entry in entries(architecture):
        if entry.layer.kind() == "moe":
            sizes = int(getattr(entry.layer, "n_experts", 0)), int(getattr(entry.layer, "top_k", 0))
            found[sizes] = found.get(sizes, 0) + entry.applied
    return [Experts(layers, *sizes) for sizes, layers in found.items()]


def touched(n_experts: int, top_k: int, tokens: int) -> float:
    """Experts that ``tokens`` tokens touch on average if each goes to ``top_k`` of them at random:
    ``E (1 - (1 - k / E)^T)``.

    >>> touched(128, 4, 1), round(touched(128, 4, 64), 2)
    (4.0, 111.22)
    """
    return float(n_experts * (1 - (1 - top_k / n_experts) ** tokens))
