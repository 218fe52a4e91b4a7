"""Loading checkpoints under their own names, and errors that name the tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.twins.model import Model

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 31,
    "hidden_size": 12,
    "intermediate_size": 10,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
MIXTRAL = {**LLAMA, "model_type": "mixtral", "num_local_experts": 3, "num_experts_per_tok": 2}
GPT2: dict[str, Any] = {
    "model_type": "gpt2",
    "vocab_size": 31,
    "n_positions": 16,
    "n_embd": 12,
    "n_layer": 2,
    "n_head": 4,
}
SWITCH: dict[str, Any] = {"model_type": "switch_transformers", "vocab_size": 31, "d_model": 12, "d_kv": 4, "d_ff": 10}
SWITCH |= {
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 3,
    "num_experts": 3,
    "num_sparse_encoder_layers": 1,
    "num_sparse_decoder_layers": 1,
}
QUERY = "model.layers.1.self_attn.q_proj.weight"


def checkpoint(config: dict[str, Any]) -> tuple[Model, dict[str, Any]]:
    """A model and random weights by the names of its checkpoint."""
    architecture = llmcalc.load(config)
    rng = np.random.default_rng(0)
    stored = llmcalc.params(architecture).tensors("transformers")
    return llmcalc.twin(architecture), {name: rng.standard_normal(shape) for name, shape in stored}


def test_separately_published_experts_are_loaded() -> None:
    model, weights = checkpoint(MIXTRAL)
    model.load(weights)
    published = dict(weights)
    for layer in range(2):
        stem = f"model.layers.{layer}.mlp."
        both = published.pop(f"{stem}experts.gate_up_proj")
        down = published.pop(f"{stem}experts.down_proj")
        moe = f"model.layers.{layer}.block_sparse_moe."
        published[f"{moe}gate.weight"] = published.pop(f"{stem}gate.weight")
        for expert in range(3):
            gate, up = np.split(both[expert], 2)
            names = {"w1": gate, "w3": up, "w2": down[expert]}
            published |= {f"{moe}experts.{expert}.{name}.weight": array for name, array in names.items()}
    architecture = llmcalc.load(MIXTRAL)
    stored = dict(llmcalc.params(architecture).tensors("checkpoint"))
    assert {name: array.shape for name, array in published.items()} == stored
    other = llmcalc.twin(architecture)
    other.load(published)
    assert all(np.array_equal(array, other.tensors[name]) for name, array in model.tensors.items())


@pytest.mark.parametrize("config", [LLAMA, MIXTRAL, GPT2], ids=lambda config: config["model_type"])
def test_every_checkpoint_value_is_loaded(config: dict[str, Any]) -> None:
    model, weights = checkpoint(config)
    model.load(weights)
    given = np.sort(np.concatenate([array.ravel() for array in weights.values()]))
    found = np.sort(np.concatenate([array.ravel() for array in model.tensors.values()]))
    assert np.array_equal(given, found)


def test_separately_stored_experts_are_stacked() -> None:
    model, weights = checkpoint(SWITCH)
    model.load(weights)
    third = weights["encoder.block.1.layer.1.mlp.experts.expert_2.wi.weight"]
    assert np.array_equal(model.tensors["encoder.blocks.1.mlp.wu"][2], third.T)


def test_tied_aliases_and_buffers_are_accepted() -> None:
    model, weights = checkpoint(LLAMA)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(2)
    model.load(weights)


V4: dict[str, Any] = {
    "model_type": "deepseek_v4",
    "vocab_size": 31,
    "hidden_size": 12,
    "moe_intermediate_size": 7,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "head_dim": 8,
    "partial_rotary_factor": 0.5,
    "q_lora_rank": 5,
    "o_groups": 2,
    "o_lora_rank": 3,
    "hc_mult": 2,
    "sliding_window": 4,
    "n_routed_experts": 3,
    "num_experts_per_tok": 2,
    "layer_types": ["sliding_attention"] * 2,
    "mlp_layer_types": ["hash_moe", "moe"],
}
TABLE, OFFSETS = "model.layers.0.mlp.gate.tid2eid", "model.layers.1.mlp.gate.e_score_correction_bias"


@pytest.mark.parametrize("choice", [-1, 3])
def test_expert_tables_are_validated(choice: int) -> None:
    model, weights = checkpoint(V4)
    weights |= {TABLE: np.array([[0, 1]] * 30 + [[2, 0]]), OFFSETS: np.zeros(3)}
    model.load(weights)
    assert (model.tensors["decoder.blocks.0.mlp.hash"] == weights[TABLE]).all()
    weights[TABLE][30, 1] = choice
    with pytest.raises(InputError, match="tid2eid contains values outside the range 0 to 2"):
        model.load(weights)


def broken(weights: dict[str, Any], what: str) -> dict[str, Any]:
    query = weights[QUERY]
    changes = {
        "missing": {QUERY: None},
        "unexpected": {"model.layers.9.mlp.extra": np.ones((2, 3))},
        "mis-shaped": {QUERY: np.ones((7, 5))},
        "not finite": {QUERY: np.where(np.eye(*query.shape) > 0, np.nan, query)},
        "infinite": {QUERY: np.where(np.eye(*query.shape) > 0, -np.inf, query)},
        "whole numbers": {QUERY: np.ones(query.shape, np.int8)},
        "complex": {QUERY: query + 1j},
        "words": {QUERY: np.full(query.shape, "0.5")},
        "objects": {QUERY: np.full(query.shape, None)},
        "transposed": {"model.layers.0.mlp.up_proj.weight": weights["model.layers.0.mlp.up_proj.weight"].T},
        "a scalar": {"model.norm.weight": np.float64(1.0)},
        "differs from its tie": {"lm_head.weight": np.zeros((31, 12))},
        "mis-shaped tie": {"lm_head.weight": np.zeros((12, 31))},
    }[what]
    return {name: array for name, array in (weights | changes).items() if array is not None}


WRONG = {
    "missing": (QUERY, "(12, 12)", "missing"),
    "unexpected": ("model.layers.9.mlp.extra", "(2, 3)", "unknown"),
    "mis-shaped": (QUERY, "(7, 5)", "(12, 12)"),
    "not finite": (QUERY, "12 non-finite numbers"),
    "infinite": (QUERY, "12 non-finite numbers"),
    "whole numbers": (QUERY, "int8", "floating-point", "quantisation"),
    "complex": (QUERY, "complex128", "floating-point"),
    "words": (QUERY, "<U3", "floating-point"),
    "objects": (QUERY, "object", "floating-point"),
    "transposed": ("model.layers.0.mlp.up_proj.weight", "(12, 10)", "(10, 12)"),
    "a scalar": ("model.norm.weight", "()", "(12,)"),
    "mis-shaped tie": ("lm_head.weight", "(12, 31)", "(31, 12)"),
    "differs from its tie": ("lm_head.weight", "model.embed_tokens.weight", "tied"),
}


@pytest.mark.parametrize("what", WRONG)
def test_checkpoint_errors_name_the_tensor(what: str) -> None:
    model, weights = checkpoint(LLAMA)
    before = {name: array.copy() for name, array in model.tensors.items()}
    with pytest.raises(InputError) as caught:
        model.load(broken(weights, what))
    for text in WRONG[what]:
        assert text in str(caught.value)
    assert all(np.array_equal(before[name], model.tensors[name]) for name in before)


@pytest.mark.parametrize("ids", [[[0.5]], [1, 2], [[-1]], [[31]], []])
def test_invalid_token_ids(ids: Any) -> None:
    model, _ = checkpoint(LLAMA)
    with pytest.raises(InputError, match="token ID"):
        model.forward(np.array(ids))
