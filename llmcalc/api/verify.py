"""Verification of declarations against NumPy models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..inputs.models import Source, read_model

if TYPE_CHECKING:
    from ..verification import Verification


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

    return run(read_model(model))
