"""Reformer's logits, in order and sorted by hashes, side by side with transformers' class in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import llmcalc
from llmcalc.zoo.research.twins import chunked_attention

from . import exact, reference

SEED, TOLERANCE = 3, 1e-9
BASE: dict[str, Any] = {"vocab_size": 61, "hidden_size": 24, "attention_head_size": 5, "num_attention_heads": 4}
BASE |= {"feed_forward_size": 20, "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4, "hash_seed": SEED}
BASE |= {"max_position_embeddings": 64, "axial_pos_embds": True, "axial_pos_shape": [8, 8], "num_buckets": 4}
BASE |= {"axial_pos_embds_dim": [10, 14], "is_decoder": True, "pad_token_id": 0}
BOTH = ["local", "lsh"]
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "in order": ({"attn_layers": ["local"] * 2}, 16),
    "sorted": ({"attn_layers": ["lsh"] * 2}, 16),
    "rounds": ({"attn_layers": BOTH * 2, "num_hashes": 3, "num_buckets": [4, 6], "local_attn_chunk_length": 8}, 24),
    "filled up": ({"attn_layers": BOTH, "num_hashes": 2, "local_attn_chunk_length": 6, "lsh_num_chunks_before": 2}, 17),
    "short": ({"attn_layers": BOTH}, 4),
    "learned positions": ({"attn_layers": BOTH, "axial_pos_embds": False}, 12),
    "both ways": ({"attn_layers": BOTH, "num_hashes": 2, "is_decoder": False, "local_num_chunks_after": 1}, 20),
    "both ways, filled up": ({"attn_layers": BOTH, "is_decoder": False, "lsh_num_chunks_after": 1}, 22),
}


@pytest.fixture(autouse=True)
def _planes_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def planes(layer: Any, rotations: int) -> Any:
        torch.manual_seed(SEED)
        shape = (layer.n_heads, layer.d_head, layer.n_hashes, rotations)
        return torch.randn(shape, dtype=torch.float64).numpy()

    monkeypatch.setattr(chunked_attention, "planes", planes)


def built(changes: dict[str, Any]) -> tuple[Any, Any]:
    """A class with random weights, and its twin."""
    class_name = "ReformerModelWithLMHead" if changes.get("is_decoder", True) else "ReformerForMaskedLM"
    model = exact.model(class_name, "reformer", {**BASE, **changes})
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(model, class_name)))
    twin.load(exact.weights(model))
    return model, twin


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str) -> None:
    changes, tokens = CASES[case]
    ids = torch.randint(3, 61, (2, tokens), generator=torch.Generator().manual_seed(1))
    with reference.quiet(), exact.float64(), torch.no_grad():
        model, twin = built(changes)
        wanted = model(ids).logits.numpy()
    assert exact.difference(twin.forward(ids.numpy()), wanted) <= TOLERANCE


@pytest.mark.parametrize("hashes", [1, 3])
@pytest.mark.parametrize("first", [16, 3])
def test_a_step_behind_a_cache_gives_the_logits_of_transformers(hashes: int, first: int) -> None:
    ids = torch.randint(3, 61, (1, first + 1), generator=torch.Generator().manual_seed(1))
    with reference.quiet(), exact.float64(), torch.no_grad():
        # the class takes the number of heads for that of tokens, and fails where there are as many as a chunk has
        model, twin = built({"attn_layers": BOTH, "num_hashes": hashes, "num_attention_heads": 3})
        given = model(ids[:, :first], use_cache=True)
        wanted = [given.logits]
        for place in range(first, ids.shape[1]):
            kept = given.past_buckets_states
            given = model(ids[:, place : place + 1], past_buckets_states=kept, use_cache=True)
            wanted.append(given.logits)
    logits, cache = twin.prefill(ids[:, :first].numpy())
    found = [logits, *(twin.decode(token, cache) for token in np.split(ids[:, first:].numpy(), 1, axis=1))]
    assert exact.difference(np.concatenate(found, axis=1), torch.cat(wanted, dim=1).numpy()) <= TOLERANCE
