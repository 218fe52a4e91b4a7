"""Published conventions for training FLOPs per token, such as 6·N.

These conventions reproduce published figures. ``llmcalc.flops`` counts the operations of an architecture.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..core.architecture import Architecture, declare
from ..core.errors import UnknownNameError, UnsupportedError
from ..core.record import NamedTuple
from .params import params

if TYPE_CHECKING:
    from .flops import Flops

FORWARD_AND_BACKWARD = 3  # cost relative to a forward pass
MAC = 2
SOFTMAX = 3  # FLOPs per (query, key) pair and head


class Sizes(NamedTuple):
    """Formula variables. Only active parameters are counted, and ``non_embedding`` excludes lookup tables."""

    layers: int
    width: int
    attention: int
    vocabulary: int
    parameters: int
    non_embedding: int
    heads: int


def sizes(architecture: Architecture) -> Sizes:
    """Return the formula variables of a model with a single stack of attention blocks."""
    stack = architecture.main
    layers = [branch.layer for run in stack.runs for sub in run.block.sublayers for branch in sub.branches]
    attention = next((declare(layer).axes for layer in layers if layer.attention_direction()), {})
    head = next((found for _, layer in stack.outputs if (found := declare(layer)).logits), None)
    if head is None or not {"h", "e"} <= attention.keys() or len(architecture.stacks) > 1:
        message = f"{architecture.name} is not a single stack of attention blocks with a head"
        hint = "published conventions only cover such models; omit {convention} for the exact count"
        raise UnsupportedError(message, parameter="convention", hint=hint)
    counted = params(architecture)
    heads, vocabulary = int(attention["h"]), int(head.axes["V"])
    width, active = heads * int(attention["e"]), (counted.active, counted.active_non_embedding)
    return Sizes(stack.n_layers, stack.d_model, width, vocabulary, *active, heads)


def kaplan_6nd(of: Sizes, seq: int) -> float:
    """Return 6 FLOPs per non-embedding parameter [kaplan2020, Section 2.1]."""
    return FORWARD_AND_BACKWARD * MAC * of.non_embedding


def palm(of: Sizes, seq: int) -> float:
    """Return ``6 N + 12 l h_attention s``, counting all parameters and query-key pairs [chowdhery2022, Appendix B]."""
    return FORWARD_AND_BACKWARD * MAC * (of.parameters + 2 * of.layers * of.attention * seq)


def megatron(of: Sizes, seq: int, factor: int, attention: int, logits: int) -> float:
    """Return ``factor l h² (1 + s / attention h + V / logits l h)``."""
    of_logits = of.vocabulary / (logits * of.layers * of.width)
    return factor * of.layers * of.width**2 * (1 + seq / (attention * of.width) + of_logits)


def chinchilla_blocks(of: Sizes, seq: int) -> float:
    """Return 3 times the forward FLOPs of the blocks, assuming a feed-forward width of 4 h [hoffmann2022, Table A4].
    All (query, key) pairs are counted, with 3 FLOPs of the softmax per pair and head.
    """
    matrices, pairs = 4 * of.width * of.attention + 8 * of.width**2, 2 * MAC * of.attention + SOFTMAX * of.heads
    return FORWARD_AND_BACKWARD * of.layers * (MAC * matrices + seq * pairs)


def chinchilla(of: Sizes, seq: int) -> float:
    """Return 3 times the forward FLOPs, with the embedding lookup as a matmul [hoffmann2022, Appendix F]."""
    return chinchilla_blocks(of, seq) + FORWARD_AND_BACKWARD * 2 * MAC * of.vocabulary * of.width


class Convention(NamedTuple):
    """A published convention for training FLOPs per token, with its formula as text.

    ``is_hardware`` is whether it counts what the backward pass computes again.
    """

    flops: Callable[[Sizes, int], float]
    formula: str
    is_hardware: bool = False


_RECOMPUTED = Convention(
    partial(megatron, factor=96, attention=6, logits=16),
    "96 l h² (1 + s / 6h + V / 16 l h), recomputing everything except the logits [narayanan2021, Equation 3]",
    is_hardware=True,
)
CONVENTIONS = {
    "kaplan-6nd": Convention(kaplan_6nd, "6 FLOPs per non-embedding parameter [kaplan2020, Section 2.1]"),
    "palm": Convention(
        palm, "6 N + 12 l h_attention s, with all parameters and all query-key pairs [chowdhery2022, Appendix B]"
    ),
    "narayanan": _RECOMPUTED,
    "megatron": _RECOMPUTED,
    "korthikanti": Convention(
        partial(megatron, factor=72, attention=6, logits=12),
        "72 l h² (1 + s / 6h + V / 12 l h), without recomputation [korthikanti2022, Equation 7]",
    ),
    "korthikanti-hardware": Convention(
        partial(megatron, factor=72, attention=3, logits=12),
        "72 l h² (1 + s / 3h + V / 12 l h), recomputing the attention core [korthikanti2022, Equation 8]",
        is_hardware=True,
    ),
    "chinchilla": Convention(
        chinchilla,
        "3 times the forward pass, with all query-key pairs, the softmax, the embedding look-up as a matmul, and a "
        "feed-forward width of 4h [hoffmann2022, Appendix F]",
    ),
    "chinchilla-blocks": Convention(
        chinchilla_blocks, "as chinchilla, without the embedding look-up and the logits [hoffmann2022, Table A4]"
    ),
}


def training_flops_per_token(architecture: Architecture, seq: int, convention: str) -> float:
    """Return the forward and backward FLOPs per token under a published convention."""
    if convention not in CONVENTIONS:
        raise UnknownNameError("convention", convention, CONVENTIONS, hint=f"use one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[convention].flops(sizes(architecture), seq)


def conventional_flops(result: Flops) -> dict[str, int]:
    """Return the FLOPs of a training step by published convention. The mapping is empty for unsupported models."""
    if result.workload.mode != "train":
        return {}
    try:
        return {
            name: round(training_flops_per_token(result.architecture, result.workload.seq, name) * result.tokens)
            for name in CONVENTIONS
        }
    except UnsupportedError:
        return {}
