"""What decides which tensors a training step keeps, and what is noted down while its equations are walked."""

from __future__ import annotations

from typing import NamedTuple

from ...core.record import record
from .optimizer import Adapters

BYTE, HALF, SINGLE = 1, 2, 4


@record
class Policy:
    """What decides which tensors are kept.

    Attributes:
        attention: ``flash`` (a fused kernel) or ``eager`` (scores and probabilities are stored).
        recompute: ``none``, ``selective`` (the core of attention is computed again), ``full`` (whole blocks are).
        dropout: whether dropout is active, so that its masks are kept.
        bytes: width of the computation's number format.
        gradient_bytes: width of the weights' gradients.
        convention: None, or ``torch``.
        adapters: what is trained instead of the weights: a contraction with a frozen weight keeps nothing for it.
        loss: ``eager`` (log-probabilities and their gradients are tensors) or ``fused`` (a kernel keeps the logits, and
            writes their gradient in their place).
        scan: recurrences in chunks are ``eager`` (what is between their products is stored) or ``fused`` (only what
            goes in is, and the rest computed again).
    """

    attention: str = "flash"
    recompute: str = "none"
    dropout: bool = False
    bytes: int = HALF
    gradient_bytes: int = HALF
    convention: str | None = None
    adapters: Adapters | None = None
    loss: str = "eager"
    scan: str = "eager"


class Kept(NamedTuple):
    """A tensor kept for the backward pass, and the place in the walk where it was first needed."""

    name: str
    bytes: int
    step: int


class Step(NamedTuple):
    """One equation, for the backward pass: bytes of the gradients of its result, of its operands and of its weights."""

    label: str
    out: str
    out_bytes: int
    operands: tuple[tuple[str, int], ...]
    weight_bytes: int
    flows: bool
