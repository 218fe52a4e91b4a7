"""The logits of a Byte Latent Transformer whose patches are all as long, side by side with transformers' class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import llmcalc

from . import exact, perturb, reference

TOKENS, TOLERANCE = 17, 1e-9
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "every byte": (1, {"patch_in_forward": False}),
    "three": (3, {}),
    "four, in all layers": (4, {"decoder_config": {"cross_attn_all_layers": True}}),
    "five, in the last layer": (5, {"encoder_config": {"cross_attn_all_layers": False}}),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str) -> None:
    size, more = CASES[case]
    changes = {**perturb.FIXED["blt"], "encoder_hash_byte_group_size": [2, 4], "patch_size": size}
    changes |= {key: {**changes[key], **value} if isinstance(value, dict) else value for key, value in more.items()}
    ids = torch.randint(3, 101, (2, TOKENS), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([[1] + [size] * -(-TOKENS // size)] * 2)  # the first byte is a patch of its own
    with reference.quiet(), exact.float64(), torch.no_grad():
        model = exact.model("BltForCausalLM", "blt", changes)
        wanted = model(ids, patch_lengths=lengths).logits.numpy()
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(model, "BltForCausalLM")))
    twin.load(exact.weights(model))
    assert exact.difference(twin.forward(ids.numpy()), wanted) <= TOLERANCE
    logits, cache = twin.prefill(ids[:, :5].numpy())
    steps = [twin.decode(ids[:, at : at + 3].numpy(), cache) for at in range(5, TOKENS, 3)]
    assert exact.difference(np.concatenate([logits, *steps], axis=1), wanted) <= TOLERANCE
