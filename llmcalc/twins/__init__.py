"""NumPy models of all layer kinds, independent of their declarations, for verification and reading.

The file of each kind has ``weights(layer)``, its weights, and ``forward(layer, w, x, step, state)``, its output. They
read only the plain fields of a layer. ``model.py`` combines them into a complete model.
"""

from __future__ import annotations

from ..core.architecture import Architecture
from .model import Model


def twin(architecture: Architecture, *, seed: int = 0) -> Model:
    """The architecture as a NumPy model with random weights; ``load`` reads those of a checkpoint.

    A tower without a NumPy model is omitted, and the language model runs on text alone.
    """
    return Model(architecture, seed=seed)
