"""Models whose classes were published with their checkpoints: what the checkpoints' headers say of them."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.verification import verify

SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


def sized(model_type: str, *sizes: int, **more: Any) -> dict[str, Any]:
    """A config: width, hidden width, layers, heads, rows of the table, and what else it says."""
    return {"model_type": model_type, **dict(zip(SIZES, sizes, strict=True)), **more}


def chatglm(layers: int, vocab: int, **more: Any) -> dict[str, Any]:
    """In the keys of its own class."""
    return {
        "model_type": "chatglm", "hidden_size": 4096, "ffn_hidden_size": 13696, "num_layers": layers,
        "num_attention_heads": 32, "kv_channels": 128, "padded_vocab_size": vocab, "multi_query_attention": True,
        "multi_query_group_num": 2, "add_bias_linear": False, "add_qkv_bias": True, "rmsnorm": True,
        "post_layer_norm": True, "layernorm_epsilon": 1e-5, "seq_length": 8192, "original_rope": True,
        "architectures": ["ChatGLMModel"], **more,
    }  # fmt: skip


def alternating(layers: int) -> list[int]:
    """MiniMax: seven layers of linear attention, one of softmax attention."""
    return [int(number % 8 == 7) for number in range(layers)]


RATE = {
    f"layernorm_{name}_{rate}": 3.5 for name in ("full_attention", "linear_attention", "mlp") for rate in ("alpha",)
}
LING: dict[str, Any] = {"head_dim": 128, "num_key_value_heads": 4, "use_bias": False, "use_qkv_bias": False}
LING |= {"norm_topk_prob": True, "rope_theta": 600000, "embedding_dropout": 0.0, "output_dropout": 0.0}
GROWING = [0.5, 0.73, 0.97, 1.2, 1.43, 1.67, 1.9, 2.13, 2.37, 2.6, 2.83, 3.07, 3.3, 3.53, 3.77, 4.0]
# Elements of the published checkpoint of that name, by its safetensors headers; buffers among them count there too.
PUBLISHED: dict[str, tuple[int, dict[str, Any]]] = {
    "microsoft/phi-1_5": (
        1418270720,
        {
            "model_type": "mixformer-sequential",
            "architectures": ["MixFormerSequentialForCausalLM"],
            "n_embd": 2048,
            "n_head": 32,
            "n_inner": None,
            "n_layer": 24,
            "n_positions": 2048,
            "rotary_dim": 32,
            "vocab_size": 51200,
            "architecture": {"block_cls": "parallel", "mlp": {"mlp_cls": "fused_mlp"}},
        },
    ),
    "THUDM/chatglm3-6b": (6243584000, chatglm(28, 65024)),
    "THUDM/chatglm-6b": (
        6707929088,  # by the shapes of its modules; the checkpoint has 13.4 GB
        {
            "model_type": "chatglm",
            "architectures": ["ChatGLMModel"],
            "hidden_size": 4096,
            "inner_hidden_size": 16384,
            "layernorm_epsilon": 1e-05,
            "max_sequence_length": 2048,
            "num_attention_heads": 32,
            "num_layers": 28,
            "position_encoding_2d": True,
            "vocab_size": 130528,
        },
    ),
    "THUDM/glm-4-9b": (9399951360, chatglm(40, 151552, rope_ratio=500, num_hidden_layers=40, vocab_size=151552)),
    "baichuan-inc/Baichuan2-7B-Base": (
        7505973248,
        sized("baichuan", 4096, 11008, 32, 32, 125696, max_position_embeddings=4096, z_loss_weight=0),
    ),
    "baichuan-inc/Baichuan2-13B-Base": (
        13896668160,
        sized("baichuan", 5120, 13696, 40, 40, 125696, model_max_length=4096, _from_model_config=True),
    ),
    "internlm/internlm2-7b": (
        7737708544,
        sized("internlm2", 4096, 14336, 32, 32, 92544, num_key_value_heads=8, bias=False),
    ),
    "internlm/internlm2_5-20b": (
        19861149696,
        sized("internlm2", 6144, 16384, 48, 48, 92544, num_key_value_heads=8, bias=False),
    ),
    "Qwen/Qwen-7B": (7721324544, sized("qwen", 4096, 22016, 32, 32, 151936, kv_channels=128, no_bias=True, bf16=True)),
    "Qwen/Qwen-14B": (14167290880, sized("qwen", 5120, 27392, 40, 40, 152064, kv_channels=128)),
    "Qwen/Qwen-72B": (72287920128, sized("qwen", 8192, 49152, 80, 64, 152064, rotary_emb_base=1000000)),
    "openbmb/MiniCPM-2B-sft-bf16": (
        2724880896,
        sized("minicpm", 2304, 5760, 40, 36, 122753, scale_emb=12, dim_model_base=256, scale_depth=1.4),
    ),
    "deepseek-ai/deepseek-moe-16b-base": (
        16375728128,
        sized(
            "deepseek",
            2048,
            10944,
            28,
            16,
            102400,
            moe_intermediate_size=1408,
            n_routed_experts=64,
            n_shared_experts=2,
            num_experts_per_tok=6,
            first_k_dense_replace=1,
            norm_topk_prob=False,
        ),
    ),
    "inclusionAI/Ling-lite": (
        16801974272,
        sized(
            "bailing_moe",
            2048,
            5632,
            28,
            16,
            126464,
            **LING,
            moe_intermediate_size=1408,
            num_experts=64,
            num_experts_per_tok=6,
            num_shared_experts=2,
            first_k_dense_replace=0,
            norm_head=True,
            norm_softmax=False,
        ),
    ),
    "inclusionAI/Ling-mini-2.0": (
        16255643392,
        sized(
            "bailing_moe_v2",
            2048,
            5120,
            20,
            16,
            157184,
            **LING,
            moe_intermediate_size=512,
            num_experts=256,
            num_experts_per_tok=8,
            num_shared_experts=1,
            first_k_dense_replace=1,
            n_group=8,
            topk_group=4,
            partial_rotary_factor=0.5,
            rotary_dim=64,
            routed_scaling_factor=2.5,
            score_function="sigmoid",
            use_qk_norm=True,
            use_rmsnorm=True,
            moe_router_enable_expert_bias=True,
            num_nextn_predict_layers=0,
        ),
    ),
    "MiniMaxAI/MiniMax-Text-01": (
        456089655296,
        sized(
            "minimax_text_01",
            6144,
            9216,
            80,
            64,
            200064,
            **RATE,
            attn_type_list=alternating(80),
            head_dim=128,
            num_key_value_heads=8,
            num_local_experts=32,
            num_experts_per_tok=2,
            postnorm=True,
            rotary_dim=64,
            shared_intermediate_size=0,
            shared_moe_mode="sigmoid",
            rope_theta=10000000,
        ),
    ),
    "microsoft/Phi-3-small-8k-instruct": (
        7392272384,
        {
            "model_type": "phi3small",
            "ff_intermediate_size": 14336,
            "ff_dim_multiplier": None,
            "gegelu_limit": 20.0,
            "dense_attention_every_n_layers": 2,
            "blocksparse_block_size": 64,
            "rope_embedding_base": 1000000,
        },
    ),
    "apple/OpenELM-270M": (
        271527168,
        {
            "model_type": "openelm",
            "model_dim": 1280,
            "num_transformer_layers": 16,
            "head_dim": 64,
            "num_query_heads": [12] * 5 + [16] * 7 + [20] * 4,
            "num_kv_heads": [3] * 5 + [4] * 7 + [5] * 4,
            "ffn_multipliers": GROWING,
            "ffn_dim_divisor": 256,
            "ffn_with_glu": True,
            "vocab_size": 32000,
            "normalize_qk_projections": True,
            "share_input_output_layers": True,
            "qkv_multipliers": [0.5, 1.0],
            "num_gqa_groups": 4,
            "activation_fn_name": "swish",
            "max_context_length": 2048,
        },
    ),
}
OLMO = {
    "model_type": "hf_olmo", "activation_type": "swiglu", "attention_layer_norm": False, "alibi": False, "rope": True,
    "attention_layer_norm_with_affine": False, "bias_for_layer_norm": False, "block_type": "sequential",
    "clip_qkv": None, "include_bias": False, "layer_norm_type": "default", "layer_norm_with_affine": False,
    "mlp_ratio": 8, "architectures": ["OLMoForCausalLM"], "vocab_size": 50280, "embedding_size": 50304,
}  # fmt: skip
PUBLISHED |= {
    "allenai/OLMo-7B": (
        6888095744,
        {**OLMO, "d_model": 4096, "n_heads": 32, "n_layers": 32, "mlp_hidden_size": 22016, "weight_tying": False},
    ),
    "allenai/OLMo-1B": (
        1176764416,
        {**OLMO, "d_model": 2048, "n_heads": 16, "n_layers": 16, "mlp_hidden_size": None, "weight_tying": True},
    ),
    "GSAI-ML/LLaDA-8B-Instruct": (
        8015581184,
        {
            "model_type": "llada",
            "architectures": ["LLaDAModelLM"],
            "activation_type": "silu",
            "block_type": "llama",
            "d_model": 4096,
            "embedding_size": 126464,
            "include_qkv_bias": False,
            "layer_norm_type": "rms",
            "mlp_hidden_size": 12288,
            "n_heads": 32,
            "n_kv_heads": 32,
            "n_layers": 32,
            "rms_norm_eps": 1e-05,
            "rope": True,
            "vocab_size": 126464,
            "weight_tying": False,
        },
    ),
}
TELECHAT = {
    "model_type": "telechat", "architectures": ["TelechatForCausalLM"], "hidden_size": 58, "ffn_hidden_size": 61,
    "n_layer": 3, "n_head": 29, "num_key_value_heads": 1, "vocab_size": 103, "tie_word_embeddings": False,
    "masked_softmax_fusion": True,
}  # fmt: skip
MINIMIND = {
    "model_type": "minimind", "architectures": ["MiniMindLM"], "dim": 66, "n_layers": 5, "n_heads": 11, "n_kv_heads": 1,
    "hidden_dim": 59, "vocab_size": 103, "norm_topk_prob": True, "n_shared_experts": True,
}  # fmt: skip
PHI = {
    "model_type": "phi-msft", "architectures": ["PhiForCausalLM"], "n_embd": 58, "n_head": 29, "n_head_kv": 1,
    "n_inner": 61, "n_layer": 3, "rotary_dim": 2, "vocab_size": 103, "pad_vocab_size_multiple": 107,
    "flash_rotary": True,
}  # fmt: skip
MOSS = {"n_embd": 64, "n_head": 4, "n_layer": 3, "rotary_dim": 8, "vocab_size": 103, "n_positions": 37}
CODESHELL = {
    "model_type": "codeshell", "architectures": ["CodeShellForCausalLM"], "n_embd": 58, "n_head": 29, "n_layer": 3,
    "num_query_groups": 1, "n_inner": 61, "position_embedding_type": "rope", "vocab_size": 103,
}  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "phi-msft": PHI,
    "xmodel": sized("xmodel", 2048, 5632, 24, 32, 32000, num_key_value_heads=4),
    "moss": {**MOSS, "model_type": "moss", "wbits": 8, "groupsize": 128},
    "codeshell": CODESHELL,
    "codeshell positions": {**CODESHELL, "position_embedding_type": "learned_absolute", "n_positions": 37},
    "telechat": TELECHAT,
    "minimind": MINIMIND,
    "minimind experts": {**MINIMIND, "use_moe": True, "n_routed_experts": 7, "num_experts_per_tok": 3},
    "llada with norms": {
        "model_type": "llada",
        "block_type": "llama",
        "activation_type": "silu",
        "d_model": 58,
        "n_heads": 29,
        "n_layers": 3,
        "n_kv_heads": 1,
        "rope": True,
        "vocab_size": 101,
        "embedding_size": 103,
        "attention_layer_norm": True,
        "include_qkv_bias": True,
        "layer_norm_type": "default",
        "include_bias": True,
        "mlp_ratio": 3,
    },
    "mimo": sized("mimo", 4096, 11008, 36, 32, 151680, num_key_value_heads=8, head_dim=128, attention_bias=True),
    "orion": sized("orion", 5120, 15360, 40, 40, 84608, num_key_value_heads=40),
    "PanguEmbedded": sized("PanguEmbedded", 4096, 12800, 34, 32, 153376, num_key_value_heads=8, bias=True),
    "internlm": sized("internlm", 4096, 11008, 32, 32, 103168, bias=True),
    "Dream": sized("Dream", 3584, 18944, 28, 28, 152064, num_key_value_heads=4, rope_theta=1000000.0),
    **{name: sized(name, 4096, 11008, 32, 32, 64000) for name in ("xverse", "skywork", "aquila", "Yi")},
    "yuan": sized("yuan", 2048, 8192, 24, 32, 135040, causal_mask=True, reset_position_ids=True),
    "stablelm_epoch": sized("stablelm_epoch", 2560, 6912, 32, 32, 50304, num_key_value_heads=32, rope_pct=0.25),
}
NOT_RUN = {
    "baichuan": "its head scales",
    "qwen": "",
    "bailing_moe": "its head scales",
    "minimax_text_01": "a part is rotated",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_many_elements_as_the_published_checkpoint(name: str) -> None:
    wanted, config = PUBLISHED[name]
    count = llmcalc.params(llmcalc.load(config))
    assert count.total + count.buffers == wanted


@pytest.mark.parametrize("name", [*PUBLISHED, *OTHERS])
def test_every_tensor_has_the_name_that_checkpoints_have(name: str) -> None:
    config = PUBLISHED[name][1] if name in PUBLISHED else OTHERS[name]
    tensors = llmcalc.params(llmcalc.load(config)).tensors(layout="checkpoint")
    assert [stored for stored, _ in tensors if stored.startswith("decoder.")] == []


@pytest.mark.parametrize("name", [*PUBLISHED, *OTHERS])
def test_what_is_described_runs_as_declared(name: str) -> None:
    config = PUBLISHED[name][1] if name in PUBLISHED else OTHERS[name]
    result = verify(llmcalc.load(config))
    assert [check for check in result.checks if not check.ok and check.quantity != "run"] == []


def sizes(width: int, hidden: int, head: int) -> tuple[int, int]:
    """Return the weights of an attention with one key and value head, and of a gated MLP."""
    return 2 * width * width + 2 * width * head, 3 * width * hidden


def test_phi_pads_its_vocabulary_and_rotates_the_stated_channels() -> None:
    ours = sized("phi", 58, 61, 3, 29, 107, num_key_value_heads=1, rope_parameters={"partial_rotary_factor": 1.0})
    assert llmcalc.load(PHI).stacks == llmcalc.load(ours).stacks
    assert llmcalc.load({**PHI, "n_inner": None}).stacks == llmcalc.load({**ours, "intermediate_size": 232}).stacks
    for block in ({"block_cls": "sequential"}, {"mlp": {"mlp_cls": "moe"}}):
        with pytest.raises(llmcalc.InputError, match="architecture must be parallel blocks with plain MLPs"):
            llmcalc.load({**PHI, "architecture": block})


def test_moss_is_codegen() -> None:
    assert llmcalc.load(OTHERS["moss"]).stacks == llmcalc.load({**MOSS, "model_type": "codegen"}).stacks


def test_codeshell_is_gpt_bigcode_with_grouped_queries() -> None:
    bigcode = {**CODESHELL, "model_type": "gpt_bigcode", "num_query_groups": None, "position_embedding_type": None}
    table = 37 * 58
    ours = llmcalc.params(llmcalc.load(OTHERS["codeshell positions"])).total
    assert ours == llmcalc.params(llmcalc.load({**bigcode, "n_positions": 37, "architectures": None})).total
    rotary = llmcalc.params(llmcalc.load(CODESHELL)).total
    assert rotary == ours - table
    many = llmcalc.params(llmcalc.load({**CODESHELL, "group_query_attention": False})).total
    assert many - rotary == 3 * 2 * (58 + 1) * (58 - 2)


def test_telechat_has_biases_in_output_projections_alone() -> None:
    attention, mlp = sizes(58, 61, 2)
    assert llmcalc.params(llmcalc.load(TELECHAT)).total == 2 * 103 * 58 + 58 + 3 * (attention + mlp + 4 * 58)
    with pytest.raises(llmcalc.InputError, match="embed_layernorm"):
        llmcalc.load({**TELECHAT, "embed_layernorm": True})


def test_experts_of_minimind_are_as_wide_as_the_mlp_and_one_is_shared() -> None:
    attention, mlp = sizes(66, 59, 6)
    dense, sparse = (llmcalc.params(llmcalc.load(OTHERS[name])).total for name in ("minimind", "minimind experts"))
    assert dense == 103 * 66 + 66 + 5 * (attention + mlp + 2 * 66)
    assert sparse - dense == 5 * (7 * mlp + 7 * 66)
    alone = llmcalc.load({**OTHERS["minimind experts"], "n_shared_experts": None})
    assert sparse - llmcalc.params(alone).total == 5 * mlp


def test_the_hidden_width_of_minimind_is_rounded_up_if_it_is_missing() -> None:
    config = {**MINIMIND, "hidden_dim": None, "multiple_of": 17}  # 8 * 66 // 3 = 176
    assert llmcalc.load(config).stacks == llmcalc.load({**MINIMIND, "hidden_dim": 187}).stacks


@pytest.mark.parametrize("name", ["THUDM/chatglm3-6b", "THUDM/chatglm-6b"])
def test_a_chatglm_for_generation_has_a_head_and_a_trained_prefix_is_warned_of(name: str) -> None:
    config = {**PUBLISHED[name][1], "architectures": ["ChatGLMForConditionalGeneration"]}
    found = llmcalc.load(config)
    assert (found.stacks, found.warnings) == (llmcalc.load(PUBLISHED[name][1]).stacks, ())
    assert llmcalc.load({**config, "pre_seq_len": 131}).warnings == (
        "the trained prefix of 131 tokens (pre_seq_len) is not counted",
    )


def test_routers_of_other_modalities_are_noted() -> None:
    ling = PUBLISHED["inclusionAI/Ling-lite"][1]
    found = llmcalc.load({**ling, "multi_gate": True})
    assert found.stacks == llmcalc.load(ling).stacks
    assert "routers of image and sound tokens" in found.notes[-1]


def test_mimo_is_qwen2_beside_a_module_for_prediction() -> None:
    config = {**OTHERS["mimo"], "num_nextn_predict_layers": 1, "tie_word_embeddings": False}
    mimo = llmcalc.load(config)
    config.pop("num_nextn_predict_layers")
    config.pop("attention_bias")
    assert mimo.stacks == llmcalc.load({**config, "model_type": "qwen2"}).stacks
    assert any("num_nextn_predict_layers is 1" in note for note in mimo.notes)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("THUDM/chatglm3-6b", {"rmsnorm": False}, "rmsnorm"),
        ("THUDM/chatglm3-6b", {"num_layers": None}, "num_hidden_layers"),
        ("Qwen/Qwen-7B", {"intermediate_size": 22017}, "must be even"),
        ("Qwen/Qwen-7B", {"no_bias": False}, "no_bias"),
        ("deepseek-ai/deepseek-moe-16b-base", {"moe_layer_freq": 2}, "moe_layer_freq"),
        ("inclusionAI/Ling-mini-2.0", {"score_function": "softmax"}, "score_function"),
        ("MiniMaxAI/MiniMax-Text-01", {"attn_type_list": [0, 1]}, "attn_type_list"),
        ("MiniMaxAI/MiniMax-Text-01", {"attn_type_list": [2] * 80}, "attn_type_list"),
        ("allenai/OLMo-7B", {"mlp_hidden_size": 22017}, "must be even"),
        ("allenai/OLMo-7B", {"block_type": "parallel"}, "block_type"),
        ("allenai/OLMo-7B", {"activation_type": "gelu"}, "activation_type"),
        ("allenai/OLMo-7B", {"alibi": True}, "alibi"),
        ("GSAI-ML/LLaDA-8B-Instruct", {"input_emb_norm": True}, "input_emb_norm"),
        ("apple/OpenELM-270M", {"ffn_multipliers": [1.0]}, "ffn_multipliers"),
        ("apple/OpenELM-270M", {"ffn_multipliers": [1e300] * 16}, "ffn_multipliers"),
        ("apple/OpenELM-270M", {"num_kv_heads": [3] * 15 + [7]}, "n_kv_heads"),
        ("apple/OpenELM-270M", {"num_query_heads": "many"}, "num_query_heads"),
    ],
)
def test_what_such_a_config_may_not_say(name: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(llmcalc.InputError, match=said):
        llmcalc.load({**PUBLISHED[name][1], **changes})


MAMBA = {"d_model": 2560, "n_layer": 64, "vocab_size": 50277, "ssm_cfg": {}, "rms_norm": True, "fused_add_norm": True}
MIXTRAL = {
    "dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8,
    "norm_eps": 1e-5, "vocab_size": 32000, "rope_theta": 1e6, "moe": {"num_experts_per_tok": 2, "num_experts": 8},
}  # fmt: skip
LLAMA3 = {
    "dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 128256, "multiple_of": 1024,
    "ffn_dim_multiplier": 1.3, "norm_eps": 1e-5, "rope_theta": 500000.0,
}  # fmt: skip
ORIGINAL: dict[str, dict[str, Any]] = {
    "mamba-2.8b": MAMBA,
    "mamba2-2.7b": {**MAMBA, "ssm_cfg": {"layer": "Mamba2"}, "attn_layer_idx": [], "pad_vocab_size_multiple": 16},
    "mixtral-8x7b": MIXTRAL,
    "mistral-7b": {**{key: value for key, value in MIXTRAL.items() if key != "moe"}, "sliding_window": 4096},
    "llama3-8b": LLAMA3,
    "llama2-70b": {**LLAMA3, "dim": 8192, "n_layers": 80, "n_heads": 64, "vocab_size": 32000, "multiple_of": 4096},
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_a_description_in_the_makers_own_format(name: str) -> None:
    found, preset = llmcalc.load(ORIGINAL[name]), llmcalc.load(name)
    for count in (llmcalc.params, lambda model: llmcalc.flops(model, batch=1, seq=997)):
        assert count(found).total == count(preset).total
    tensors = llmcalc.params(found).tensors(layout="checkpoint")
    assert [stored for stored, _ in tensors if stored.startswith("decoder.")] == []
    assert [check for check in verify(found).checks if not check.ok] == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({**LLAMA3, "vocab_size": -1}, r'overrides=\["vocab_size'),
        ({**LLAMA3, "n_gates": 3}, "n_gates"),
        ({**LLAMA3, "multiple_of": 0}, "multiple_of"),
        ({**LLAMA3, "ffn_dim_multiplier": 1e300}, "ffn_dim_multiplier"),
        ({**MIXTRAL, "moe": {"num_experts": 8}}, "num_experts_per_tok"),
        ({**MIXTRAL, "moe": [8]}, "moe"),
        ({**MAMBA, "ssm_cfg": {"layer": "Mamba3"}}, "Mamba3"),
        ({**MAMBA, "ssm_cfg": {"d_gate": 3}}, "d_gate"),
        ({**MAMBA, "attn_layer_idx": [3]}, "attention"),
        ({**MAMBA, "rms_norm": False}, "rms_norm"),
        ({"d_model": 3}, "model_type"),
    ],
)
def test_what_such_a_description_may_not_say(config: dict[str, Any], said: str) -> None:
    with pytest.raises(llmcalc.InputError, match=said):
        llmcalc.load(config)
