"""Layouts: as transformers keeps tensors, and as checkpoints were published."""

import pytest

import llmcalc

PRESETS = {
    "mixtral": "model.layers.0.block_sparse_moe.experts.7.w1.weight",
    "qwen3-moe": "model.layers.0.mlp.experts.127.gate_proj.weight",
    "deepseek-v3": "model.layers.3.mlp.experts.255.down_proj.weight",
    "minimax-m2": "model.layers.0.block_sparse_moe.experts.255.w2.weight",
    "nemotron-3": "backbone.layers.1.mixer.experts.127.up_proj.weight",
    "jamba": "model.layers.1.feed_forward.experts.15.up_proj.weight",
    "llama3": "model.layers.0.self_attn.q_proj.weight",
}
CONFIG = {
    "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 4,
    "intermediate_size": 7, "vocab_size": 11,
}  # fmt: skip


def elements(tensors):
    total = 0
    for _, shape in tensors:
        size = 1
        for length in shape:
            size *= length
        total += size
    return total


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_names_of_its_published_checkpoint(name):
    counted = llmcalc.params(llmcalc.load(name))
    stored = counted.tensors("checkpoint")
    assert PRESETS[name] in dict(stored)
    assert elements(stored) == elements(counted.tensors("transformers")) == counted.total


def test_one_layout_file_serves_families_that_were_published_otherwise():
    few = {"num_local_experts": 3, "num_experts_per_tok": 2}
    mixtral = llmcalc.load({"model_type": "mixtral", **CONFIG, **few})
    qwen = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 5, "decoder_sparse_step": 1}
    qwen3 = llmcalc.load({"model_type": "qwen3_moe", **CONFIG, **qwen})
    assert mixtral.layout == qwen3.layout
    experts = [dict(llmcalc.params(model).tensors("checkpoint")) for model in (mixtral, qwen3)]
    assert experts[0]["model.layers.1.block_sparse_moe.experts.2.w3.weight"] == (7, 12)
    assert experts[1]["model.layers.1.mlp.experts.2.up_proj.weight"] == (5, 12)


def test_tensors_that_were_published_as_one_are_one():
    sizes = {key: value for key, value in CONFIG.items() if key != "intermediate_size"}
    config = {"model_type": "lara_mini", **sizes, "layer_types": ["linear_attention", "full_attention"]}
    tensors = dict(llmcalc.params(llmcalc.load(config)).tensors("checkpoint"))
    assert "model.layers.0.linear_attn.in_proj.weight" in tensors
    assert not any("in_proj_qkv" in name for name in tensors)


def test_an_unknown_layout_is_an_error():
    with pytest.raises(llmcalc.UnknownNameError, match="checkpoint"):
        llmcalc.params(llmcalc.load("gpt2")).tensors("checkpoints")
