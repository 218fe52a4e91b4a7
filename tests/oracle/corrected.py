"""Classes of transformers that compute something else than was published, and how the published model computes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from transformers.masking_utils import create_sliding_window_causal_mask
from transformers.models.moshi import modeling_moshi
from transformers.models.nllb_moe import modeling_nllb_moe


def _experts(self: Any, hidden_states: Any, router_mask: Any, router_probs: Any) -> Any:
    """Every expert on every token, by its share; the class takes the mask of the first expert for its number."""
    total = torch.zeros_like(hidden_states)
    for number in range(self.num_experts):
        total = total + self[f"expert_{number}"](hidden_states) * router_probs[:, number, None]
    return total * (1 - self.moe_token_dropout)


CORRECTED = {
    "nllb-moe": (modeling_nllb_moe.NllbMoeExperts, "forward", _experts),
    # its window is that of the cache alone, so that a token sees less once the text before it comes from there
    "moshi": (modeling_moshi, "create_causal_mask", create_sliding_window_causal_mask),
}


@contextlib.contextmanager
def as_published(model_type: str) -> Iterator[None]:
    """A family's class as it was published."""
    if model_type not in CORRECTED:
        yield
        return
    with mock.patch.object(*CORRECTED[model_type]):
        yield
