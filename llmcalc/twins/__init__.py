"""The twins: every layer kind as a plain NumPy model, to be read like a textbook and run like the real thing.

One file per kind, called like it. Each has ``weights(layer)``, what it allocates, and ``forward(layer, w, x, step,
state)``, what it computes, and reads nothing of a layer but its plain fields. ``model.py`` puts them together.
"""

from __future__ import annotations

from ..core.architecture import Architecture
from .model import Model


def twin(architecture: Architecture, *, seed: int = 0) -> Model:
    """The architecture as a NumPy model with random weights; ``load`` gives it those of a checkpoint.

    A tower without a NumPy model is left out: the language model behind it reads a text alone.
    """
    return Model(architecture, seed=seed)
