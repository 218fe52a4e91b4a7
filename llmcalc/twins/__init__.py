"""NumPy models of all layer kinds for verification, implemented independently of the layer declarations.

The module of each kind defines ``weights(layer)`` and ``forward(layer, w, x, step, state)``. Both functions
read only the plain fields of a layer. ``model.py`` combines the layers into a complete model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.architecture import Architecture
from .model import Model
from .plan import NO_MODULES


def twin(architecture: Architecture, *, seed: int = 0, modules: Mapping[str, Any] = NO_MODULES) -> Model:
    """Return a NumPy model of the architecture with random weights. Use ``Model.load`` to load checkpoint weights.

    ``modules`` maps layer kinds that this package does not implement to their modules.

    Vision and audio encoders without NumPy models are omitted. The language model then runs on text only.
    """
    return Model(architecture, seed, modules)
