"""Number of routed experts activated per layer in a step. The number ranges from ``top_k`` to all experts."""

from __future__ import annotations

from ..core.amount import summed
from ..core.architecture import Architecture, declare
from ..core.form import touched
from ..core.ledger import distinct_entries
from ..core.record import NamedTuple, remembered


class ExpertLayers(NamedTuple):
    """Number of mixture-of-experts layers with the same ``n_experts`` and ``top_k``."""

    layers: int
    n_experts: int
    top_k: int


def expert_layers(architecture: Architecture) -> list[ExpertLayers]:
    """Count the mixture-of-experts layers of an architecture, grouped by ``n_experts`` and ``top_k``."""

    def compute() -> list[ExpertLayers]:
        entries = (entry for stack in architecture.stacks for entry in distinct_entries(stack))
        sizes = ((declare(entry.layer).routed_experts, entry.applied) for entry in entries)
        return [ExpertLayers(layers, *size) for size, layers in summed(sizes).items() if size]

    return remembered(architecture, "_expert_layers", None, compute)


def expected_active_experts(n_experts: int, top_k: int, tokens: int) -> float:
    """Return ``E (1 - (1 - k/E)^T)``, the expected number of active experts for T uniformly routed tokens.

    >>> expected_active_experts(128, 4, 1), round(expected_active_experts(128, 4, 64), 2)
    (4.0, 111.22)
    """
    return float(touched(n_experts, top_k, tokens))
