"""Sizes of a model by the definitions of scaling laws."""

from __future__ import annotations

from ...calc.flops import flops
from ...calc.params import params
from ...calc.touched_experts import expert_layers
from ...core.architecture import Architecture, declare
from .forms import TRAIN

SEQ = 4096  # default tokens per sequence for laws that count attention [deepseek2024, Table 3]


def routed(model: Architecture) -> float | None:
    """Return the ratio of total to active experts, or None if the model is dense or the layers differ."""
    ratios = {one.n_experts / one.top_k for one in expert_layers(model) if one.top_k}
    return ratios.pop() if len(ratios) == 1 else None


def counts(model: Architecture, seq: int = SEQ) -> dict[str, float]:
    """Return the model's parameter count under each definition used by scaling laws."""
    counted = params(model)
    return {
        "total": float(counted.active),
        "active": float(counted.active),
        "stored": float(counted.total),
        "non-embedding": float(counted.active_non_embedding),
        "flops-per-token": non_embedding_flops(model, seq) / TRAIN,
    }


def non_embedding_flops(model: Architecture, seq: int) -> float:
    """Return training FLOPs per token, counting all query-key pairs but no logits [deepseek2024, Equation 2]."""
    step = flops(model, seq=seq, mode="train", attention="dense", extend=True)
    logits = step.of(work for work in step.works if declare(work.entry.layer).logits)
    return (step.matmul - logits.matmul) / step.tokens
