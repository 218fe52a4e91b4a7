"""Declared against executed: an architecture's small twin is run, and what runs is compared with what is declared.

>>> import llmcalc
>>> result = llmcalc.verify(llmcalc.load("gpt2"))
>>> result.ok, result.checks[0].quantity
(True, 'parameters')
"""

from __future__ import annotations

from dataclasses import replace

from ..core.architecture import Architecture
from .compare import compare
from .published import published
from .result import Check, Verification

__all__ = ["Check", "Verification", "verify"]


def verify(architecture: Architecture) -> Verification:
    """Compare the declarations of an architecture with its NumPy model and with what is published of it.

    The model is that of ``architecture.shrink()``, without towers, whose input is no text; published figures are those
    of the architecture itself.

    Raises:
        UnsupportedError: a layer kind, or a field of one, that has no NumPy model.
    """
    towers = [stack for stack in architecture.stacks if stack.role == "tower"]
    texts = tuple(stack for stack in architecture.stacks if stack not in towers)
    small = (replace(architecture, stacks=texts) if towers and texts else architecture).shrink()
    return Verification(architecture, small, (*compare(small), *published(architecture)))
