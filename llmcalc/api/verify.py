"""Verification of declarations against NumPy models or checkpoint headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.setting import Setting
from ..inputs.models import Source, load

if TYPE_CHECKING:
    from ..twins.model import Model
    from ..verification import Verification
    from ..verification.weights import Comparison

SEED = Setting("seed", int, 0, least=0)


def verify(model: Source) -> Verification:
    """Verify the declared equations of an architecture against a small NumPy model.

    >>> import llmcalc
    >>> llmcalc.verify("gpt2").ok
    True

    Args:
        model: an architecture, or anything ``load`` reads.

    Raises:
        UnsupportedError: a layer has no NumPy model.
    """
    from ..verification import verify as run

    return run(load(model))


def verify_checkpoint(model: Source) -> Comparison:
    """Compare the tensors listed in checkpoint headers with those of the architecture, without reading weights.

    Args:
        model: weights file or folder, or an architecture loaded from one.

    Raises:
        InputError: if the model was not loaded from a checkpoint.
    """
    from ..importers.weights import headers_of
    from ..verification.weights import verify_weights

    architecture = load(model)
    headers = headers_of(architecture)
    if headers is None:
        raise InputError(f"{architecture.name} was not read from a checkpoint", parameter="model")
    return verify_weights(architecture, headers)


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
    architecture = load(model)
    return build(architecture, seed=seed, modules=generated_models(architecture))
