"""NumPy models of all layer kinds, independent of their declarations, for verification and reading.

The module of each kind defines ``weights(layer)`` and ``forward(layer, w, x, step, state)``, which returns the output.
Both read only the plain fields of a layer. ``model.py`` combines the layers into a complete model.
"""

from __future__ import annotations

from ..core.architecture import Architecture
from .model import Model


def twin(architecture: Architecture, *, seed: int = 0) -> Model:
    """Return the architecture as a NumPy model with random weights; ``load`` reads the weights of a checkpoint.

    A tower without a NumPy model is omitted, and the language model runs on text alone.
    """
    return Model(architecture, seed=seed)
