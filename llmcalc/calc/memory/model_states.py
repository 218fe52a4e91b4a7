"""What training keeps beside the activations: weights, gradients, a master copy, an optimizer's states."""

from __future__ import annotations

from ...core.record import record
from .optimizer import Adapters, StateRule
from .weight_formats import Weights


@record
class Recipe:
    """What training keeps beside the activations.

    Attributes:
        name: what the recipe is called.
        weights: bytes of a weight as it is computed with.
        gradients: bytes of a gradient as it is accumulated.
        master: bytes of a higher-precision copy that the optimizer updates (0: none).
        states: the optimizer's states.
        buffered: gradients stand in one buffer that is there throughout the step (Megatron-LM's distributed data
            parallel), instead of being made in the backward pass and freed after the optimizer's step (PyTorch).
        temporaries: copies of the largest tensor that the optimizer makes while it steps.
        adapters: what is trained instead of the weights themselves.
        frozen: how the weights that adapters stand beside are stored (None: in ``weights`` bytes).
    """

    name: str
    weights: int
    gradients: int
    master: int
    states: tuple[StateRule, ...]
    temporaries: int = 0
    buffered: bool = False
    adapters: Adapters | None = None
    frozen: Weights | None = None
