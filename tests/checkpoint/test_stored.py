"""Shapes of tensors as checkpoints store them: fused, transposed, expert by expert in one tensor."""

from __future__ import annotations

import pytest

import llmcalc

SHAPES = {
    "gpt2-small": {
        "transformer.h.3.attn.c_attn.weight": (768, 3 * 768),  # [in, out], queries, keys and values side by side
        "transformer.h.3.attn.c_attn.bias": (3 * 768,),
        "transformer.h.3.mlp.c_proj.weight": (3072, 768),
        "transformer.wpe.weight": (1024, 768),
    },
    "gpt-oss-20b": {
        "model.layers.5.mlp.experts.gate_up_proj": (32, 2880, 2 * 2880),  # [expert, in, out]
        "model.layers.5.mlp.experts.gate_up_proj_bias": (32, 2 * 2880),
        "model.layers.5.mlp.experts.down_proj_bias": (32, 2880),
        "model.layers.5.self_attn.sinks": (64,),
    },
    "mixtral-8x7b": {
        "model.layers.0.mlp.experts.gate_up_proj": (8, 2 * 14336, 4096),  # [expert, out, in]
        "model.layers.0.mlp.experts.down_proj": (8, 4096, 14336),
        "model.layers.31.self_attn.k_proj.weight": (8 * 128, 4096),
    },
    "mamba2-130m": {
        "backbone.layers.0.mixer.in_proj.weight": (2 * 1536 + 2 * 128 + 24, 768),  # z, x, B, C and Δ
        "backbone.layers.0.mixer.conv1d.weight": (1536 + 2 * 128, 1, 4),
        "backbone.layers.0.mixer.A_log": (24,),
    },
    "deepseek-v3": {
        "model.layers.0.self_attn.kv_a_proj_with_mqa.weight": (512 + 64, 7168),  # the latent and the rotary key
        "model.layers.0.self_attn.kv_b_proj.weight": (128 * (128 + 128), 512),
        "model.layers.3.mlp.experts.gate_up_proj": (256, 2 * 2048, 7168),
    },
    "t5-small": {
        "shared.weight": (32128, 512),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 8),
        "decoder.block.5.layer.1.EncDecAttention.o.weight": (512, 512),
    },
    "jamba": {
        "model.layers.0.mamba.x_proj.weight": (256 + 2 * 16, 8192),  # Δ, B and C
        "model.layers.0.mamba.A_log": (8192, 16),
        "model.layers.1.feed_forward.experts.gate_up_proj": (16, 2 * 14336, 4096),
    },
}


@pytest.mark.parametrize("model", SHAPES)
def test_tensors_have_the_shapes_of_checkpoints(model: str) -> None:
    found = dict(llmcalc.params(llmcalc.load(model)).tensors("transformers"))
    assert {name: found.get(name) for name in SHAPES[model]} == SHAPES[model]


@pytest.mark.parametrize("model", SHAPES)
def test_no_layout_loses_a_parameter(model: str) -> None:
    count = llmcalc.params(llmcalc.load(model))
    for layout in (None, "transformers"):
        names = [name for name, _ in count.tensors(layout)]
        assert len(set(names)) == len(names)
        total = 0
        for _, shape in count.tensors(layout):
            size = 1
            for length in shape:
                size *= length
            total += size
        assert total == count.total
