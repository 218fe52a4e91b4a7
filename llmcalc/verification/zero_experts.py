"""Exclusion of zero-computation experts, since declarations assume that tokens select regular experts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..core.architecture import declare
from ..twins.plan import PlacedLayer
from ..twins.weights import Array

EXCLUDED = -1e3  # score correction that keeps tokens from choosing an expert


def exclude_zero_experts(layers: Iterable[PlacedLayer], tensors: dict[str, Array]) -> None:
    """Change the score corrections of layers so that no token selects a zero-computation expert."""
    for placed in layers:
        declaration = declare(placed.layer)
        if declaration.routed_experts and declaration.idle_experts and "correction" in placed.names:
            name, n_experts = placed.names["correction"], declaration.routed_experts[0]
            tensors[name] = np.where(np.arange(tensors[name].size) < n_experts, tensors[name], EXCLUDED)
