"""NumPy models of architectures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.setting import Setting
from ..inputs.models import Source, read_model

if TYPE_CHECKING:
    from ..twins.model import Model

SEED = Setting("seed", int, 0, least=0)


def twin(model: Source, *, seed: int = 0) -> Model:
    """Build a NumPy model of an architecture.

    >>> import llmcalc
    >>> llmcalc.twin(llmcalc.load("gpt2").shrink()).forward([[1, 2, 3]]).shape[:2]
    (1, 3)

    Args:
        model: an architecture, or anything ``load`` reads. ``Architecture.shrink`` returns a small architecture.
        seed: seed of the random weights.

    Raises:
        UnsupportedError: a layer has no NumPy model.
    """
    from ..twins import twin as build
    from ..verification.equation_model import generated_models

    SEED.check(seed)
    architecture = read_model(model)
    return build(architecture, seed=seed, modules=generated_models(architecture))
