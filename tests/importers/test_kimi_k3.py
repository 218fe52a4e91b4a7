"""Kimi K3, of which transformers has no class: its published sizes, its checkpoint's tensors, its equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.core.architecture import Stack
from llmcalc.verification import verify

LAYERS = 93
FULL = [*range(4, LAYERS, 4), LAYERS]
LINEAR = {
    "full_attn_layers": FULL,
    "kda_layers": [number for number in range(1, LAYERS + 1) if number not in FULL],
    "num_heads": 96, "head_dim": 128, "short_conv_kernel_size": 4, "gate_lower_bound": -5.0, "use_full_rank_gate": True,
}  # fmt: skip
TEXT: dict[str, Any] = {
    "model_type": "kimi_linear", "vocab_size": 163840, "hidden_size": 7168, "intermediate_size": 33792,
    "num_hidden_layers": LAYERS, "num_attention_heads": 96, "num_key_value_heads": 96, "q_lora_rank": 1536,
    "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "mla_use_nope": True,
    "mla_use_output_gate": True, "num_experts": 896, "num_experts_per_token": 16, "num_shared_experts": 2,
    "moe_intermediate_size": 3072, "routed_expert_hidden_size": 3584, "latent_moe_use_norm": True,
    "moe_renormalize": True, "moe_router_activation_func": "sigmoid", "routed_scaling_factor": 1.0,
    "num_expert_group": 1, "topk_group": 1, "use_grouped_topk": True, "first_k_dense_replace": 1, "moe_layer_freq": 1,
    "num_nextn_predict_layers": 0, "hidden_act": "situ", "activation_situ_beta": 4.0,
    "activation_situ_linear_beta": 25.0, "attn_res_block_size": 12, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 1048576, "linear_attn_config": LINEAR,
}  # fmt: skip
VISION: dict[str, Any] = {
    "vt_hidden_size": 1024, "vt_intermediate_size": 4096, "vt_num_hidden_layers": 27, "vt_num_attention_heads": 12,
    "qkv_hidden_size": 1536, "patch_size": 14, "merge_kernel_size": [2, 2], "mm_hidden_size": 1024,
    "init_pos_emb_height": 64, "init_pos_emb_width": 64, "init_pos_emb_time": 4, "pos_emb_type": "divided_fixed",
    "pos_emb_interpolation_mode": "bilinear", "video_attn_type": "spatial_temporal", "merge_type": "sd2_tpool",
    "mm_projector_type": "patchmergerv2", "projector_hidden_act": "gelu", "projector_ln_eps": 1e-5,
    "text_hidden_size": 7168, "norm_type": "rmsnorm", "mlp_type": "mlp2", "attn_bias": False, "linear_bias": False,
    "patch_embed_proj_bias": False, "activation_func": "gelu_pytorch_tanh",
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "model_type": "kimi_k3", "architectures": ["KimiK3ForConditionalGeneration"], "tie_word_embeddings": False,
    "media_placeholder_token_id": 163605, "text_config": TEXT, "vision_config": VISION,
}  # fmt: skip
SMALL: dict[str, Any] = {
    **TEXT, "vocab_size": 101, "hidden_size": 22, "intermediate_size": 37, "num_hidden_layers": 5,
    "num_attention_heads": 3, "q_lora_rank": 13, "kv_lora_rank": 11, "qk_nope_head_dim": 7, "qk_rope_head_dim": 6,
    "v_head_dim": 5, "num_experts": 7, "num_experts_per_token": 2, "moe_intermediate_size": 17,
    "routed_expert_hidden_size": 19, "attn_res_block_size": 2, "activation_situ_beta": 0.4,
    "activation_situ_linear_beta": 0.7,
    "linear_attn_config": {
        **LINEAR, "num_heads": 3, "head_dim": 5, "full_attn_layers": [4], "kda_layers": [1, 2, 3, 5],
    },
}  # fmt: skip

# Names and shapes of the published checkpoint, as its headers have them. A_log has 128 entries there, of which those of
# the 96 heads are used; experts are stored in MXFP4.
L, T = "language_model.model.", "vision_tower."
STORED: dict[str, tuple[int, ...]] = {
    f"{L}embed_tokens.weight": (163840, 7168),
    "language_model.lm_head.weight": (163840, 7168),
    f"{L}norm.weight": (7168,),
    f"{L}output_attn_res_norm.weight": (7168,),
    f"{L}output_attn_res_proj.weight": (1, 7168),
    f"{L}layers.0.input_layernorm.weight": (7168,),
    f"{L}layers.0.post_attention_layernorm.weight": (7168,),
    f"{L}layers.0.self_attention_res_norm.weight": (7168,),
    f"{L}layers.0.self_attention_res_proj.weight": (1, 7168),
    f"{L}layers.0.mlp_res_norm.weight": (7168,),
    f"{L}layers.0.mlp_res_proj.weight": (1, 7168),
    f"{L}layers.0.mlp.gate_proj.weight": (33792, 7168),
    f"{L}layers.0.mlp.down_proj.weight": (7168, 33792),
    f"{L}layers.0.self_attn.q_proj.weight": (12288, 7168),
    f"{L}layers.0.self_attn.k_conv1d.weight": (12288, 1, 4),
    f"{L}layers.0.self_attn.f_a_proj.weight": (128, 7168),
    f"{L}layers.0.self_attn.f_b_proj.weight": (12288, 128),
    f"{L}layers.0.self_attn.b_proj.weight": (96, 7168),
    f"{L}layers.0.self_attn.g_proj.weight": (12288, 7168),
    f"{L}layers.0.self_attn.dt_bias": (12288,),
    f"{L}layers.0.self_attn.o_norm.weight": (128,),
    f"{L}layers.0.self_attn.o_proj.weight": (7168, 12288),
    f"{L}layers.1.block_sparse_moe.gate.weight": (896, 7168),
    f"{L}layers.1.block_sparse_moe.experts.895.w1.weight": (3072, 3584),
    f"{L}layers.1.block_sparse_moe.experts.895.w2.weight": (3584, 3072),
    f"{L}layers.1.block_sparse_moe.routed_expert_down_proj.weight": (3584, 7168),
    f"{L}layers.1.block_sparse_moe.routed_expert_up_proj.weight": (7168, 3584),
    f"{L}layers.1.block_sparse_moe.routed_expert_norm.weight": (3584,),
    f"{L}layers.1.block_sparse_moe.shared_experts.up_proj.weight": (6144, 7168),
    f"{L}layers.3.self_attn.q_a_proj.weight": (1536, 7168),
    f"{L}layers.3.self_attn.q_b_proj.weight": (18432, 1536),
    f"{L}layers.3.self_attn.kv_a_proj_with_mqa.weight": (576, 7168),
    f"{L}layers.3.self_attn.kv_b_proj.weight": (24576, 512),
    f"{L}layers.3.self_attn.g_proj.weight": (12288, 7168),
    f"{T}encoder.blocks.26.wqkv.weight": (4608, 1024),
    f"{T}encoder.blocks.26.wo.weight": (1024, 1536),
    f"{T}encoder.blocks.26.mlp.fc0.weight": (4096, 1024),
    f"{T}encoder.blocks.26.norm1.weight": (1024,),
    f"{T}encoder.final_layernorm.weight": (1024,),
    f"{T}patch_embed.pos_emb.weight": (64, 64, 1024),
    f"{T}patch_embed.proj.weight": (1024, 3, 14, 14),
    "mm_projector.proj.0.weight": (4096, 4096),
    "mm_projector.proj.2.weight": (7168, 4096),
    "mm_projector.post_norm.weight": (7168,),
}  # fmt: skip


def test_the_published_sizes() -> None:
    """Table 1 of the report: 2.78T parameters, 104.2B of them active, as it counts without the input embedding."""
    count = llmcalc.params(llmcalc.load(TEXT))
    assert f"{count.total / 1e12:.2f}" == "2.78"
    assert f"{(count.active - count.embedding) / 1e9:.1f}" == "104.2"


def test_the_tower_has_what_its_report_says() -> None:
    """About 401M parameters, without the projector."""
    tower = llmcalc.load(WHOLE).stacks[1]
    outer = sum(layer.kind() == "linear" for _, layer in tower.outputs)
    assert (tower.role, tower.n_layers, outer) == ("tower", 27, 2)
    whole = llmcalc.params(llmcalc.load(WHOLE)).total - llmcalc.params(llmcalc.load(TEXT)).total
    assert round((whole - 4096 * 4096 - 7168 * 4096 - 7168) / 1e6) == 401


def test_tensors_are_called_as_in_the_published_checkpoint() -> None:
    found = dict(llmcalc.params(llmcalc.load(WHOLE)).tensors(layout="checkpoint"))
    assert {name: found.get(name) for name in STORED} == STORED
    assert sum(name.startswith(f"{T}encoder.") for name in found) == 163
    assert all(name.startswith((L, T, "language_model.lm_head", "mm_projector.")) for name in found)


def test_the_preset_is_the_published_config() -> None:
    preset, config = llmcalc.load("kimi-k3"), llmcalc.load(TEXT)
    for count in (llmcalc.params, lambda model: llmcalc.flops(model, batch=1, seq=997)):
        assert count(preset).total == count(config).total
    assert preset.extras[0].stack.runs == llmcalc.load(WHOLE).stacks[1].runs


def sums(stack: Stack) -> list[list[int]]:
    """How many sums each sub-layer looks at, block by block."""
    return [[part.pre.n_sums for part in run.block.sublayers] for run in stack.runs for _ in range(run.count)]  # type: ignore[union-attr]


def test_each_block_of_layers_leaves_a_sum() -> None:
    stack = llmcalc.load({**TEXT, "num_hidden_layers": 5, "attn_res_block_size": 2, "linear_attn_config": None}).main
    assert sums(stack) == [[0, 1], [1, 1], [1, 2], [2, 2], [2, 3]]
    assert stack.outputs[0].layer.n_sums == 3  # type: ignore[attr-defined]
    parts = [run.block.sublayers[0] for run in stack.runs for _ in range(run.count)]
    assert [part.residual for part in parts] == [False, True, False, True, False]


def test_a_small_one_runs_as_declared() -> None:
    assert [check for check in verify(llmcalc.load(SMALL)).checks if not check.ok] == []


def test_a_small_one_computes_what_its_equations_say() -> None:
    """Written down once more, token by token, without the machinery of stacks and blocks."""
    architecture = llmcalc.load({**SMALL, "num_hidden_layers": 3, "linear_attn_config": {
        **SMALL["linear_attn_config"], "full_attn_layers": [], "kda_layers": [1, 2, 3]}})  # fmt: skip
    twin = llmcalc.twin(architecture)
    ids = np.array([[5, 17, 3, 29, 11]])
    w = {name.removeprefix("decoder."): value for name, value in twin.tensors.items()}
    x, sums_so_far = w["token.w"][ids[0]], list[Any]()
    for number in range(3):
        at = f"blocks.{number}."
        h = mixed(w, f"{at}linear.pre_norm", [*sums_so_far, x]) if sums_so_far else x
        if number % 2 == 0:
            sums_so_far.append(x)
            x = np.zeros_like(x)
        x = x + kda(w, f"{at}linear.", norm(h, w[f"{at}linear.linear_pre_norm.w"]))
        h = mixed(w, f"{at}mlp.pre_norm", [*sums_so_far, x])
        h = norm(h, w[f"{at}mlp.mlp_pre_norm.w"])
        x = x + (experts(w, f"{at}mlp.", h) if number else feed(w, f"{at}mlp.", h))
    logits = norm(mixed(w, "attention_residual", [*sums_so_far, x]), w["norm.w"]) @ w["head.w"].T
    assert np.allclose(twin.forward(ids)[0], logits, rtol=0, atol=1e-10)


def norm(x: Any, scale: Any, eps: float = 1e-5) -> Any:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * scale


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def mixed(w: Any, at: str, values: list[Any]) -> Any:
    scores = np.exp([norm(value, w[f"{at}.norm"]) @ w[f"{at}.w"] for value in values])
    return sum(score[:, None] * value for score, value in zip(scores / scores.sum(0), values, strict=True))


def bounded(gate: Any, up: Any) -> Any:
    return 0.4 * np.tanh(gate / 0.4) * sigmoid(gate) * 0.7 * np.tanh(up / 0.7)


def feed(w: Any, at: str, x: Any) -> Any:
    return bounded(x @ w[f"{at}wg"], x @ w[f"{at}wu"]) @ w[f"{at}wd"]


def experts(w: Any, at: str, x: Any) -> Any:
    scores, low = sigmoid(x @ w[f"{at}router"]), x @ w[f"{at}w_in"]
    found = np.zeros_like(low)
    for token, row in enumerate(scores):
        chosen = np.argsort(-(row + w[f"{at}correction"]))[:2]
        for expert in chosen:
            hidden = bounded(low[token] @ w[f"{at}wg"][expert], low[token] @ w[f"{at}wu"][expert])
            found[token] += row[expert] / row[chosen].sum() * (hidden @ w[f"{at}wd"][expert])
    return norm(found, w[f"{at}latent_norm"]) @ w[f"{at}w_out"] + feed(w, f"{at}shared.", x)


def kda(w: Any, at: str, x: Any) -> Any:
    """Three heads of 5; the convolution sees the token and three before it."""

    def projected(name: str) -> Any:
        plain = np.einsum("qd,dhe->qhe", x, w[f"{at}w{name}"])
        padded = np.concatenate([np.zeros((3, *plain.shape[1:])), plain])
        taps = w[f"{at}conv_{name}"]
        summed = sum(padded[tap : tap + len(x)] * taps[..., tap] for tap in range(4))
        return summed * sigmoid(summed)

    q, k, v = (projected(name) for name in "qkv")
    q, k = (value / np.sqrt((value**2).sum(-1, keepdims=True) + 1e-6) for value in (q, k))
    low = np.einsum("qr,rhe->qhe", x @ w[f"{at}wa_in"], w[f"{at}wa"]) + w[f"{at}dt_b"]
    decay = np.exp(-5.0 * sigmoid(np.exp(w[f"{at}A_log"])[:, None] * low))
    beta, found = sigmoid(x @ w[f"{at}wb"]), []
    state = np.zeros((3, 5, 5))
    for token in range(len(x)):
        state = state * decay[token][..., None]
        seen = np.einsum("hkv,hk->hv", state, k[token])
        state = state + np.einsum("hk,hv->hkv", k[token], beta[token][:, None] * (v[token] - seen))
        found.append(np.einsum("hkv,hk->hv", state, q[token]) / np.sqrt(5))
    gate = sigmoid(np.einsum("qd,dhe->qhe", x, w[f"{at}wz"]))
    return np.einsum("qhv,hvd->qd", norm(np.array(found), w[f"{at}norm"]) * gate, w[f"{at}wo"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"activation_situ_beta": None}, "activation_situ_beta"),
        ({"activation_situ_beta": 0}, "activation_situ_beta"),
        ({"activation_situ_linear_beta": "wide"}, "activation_situ_linear_beta"),
        ({"attn_res_block_size": 0}, "attn_res_block_size"),
        ({"attn_res_block_size": 1, "num_hidden_layers": 1000, "linear_attn_config": None}, "more than 256 layers"),
        ({"routed_expert_hidden_size": -3}, "routed_expert_hidden_size"),
        ({"linear_attn_config": {**LINEAR, "use_full_rank_gate": 1}}, "use_full_rank_gate"),
        ({"linear_attn_config": {**LINEAR, "gate_lower_bound": "low"}}, "gate_lower_bound"),
        ({"linear_attn_config": {**LINEAR, "n_gates": 1}}, "n_gates"),
    ],
)
def test_what_a_text_config_may_not_say(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(llmcalc.InputError, match=said):
        llmcalc.load({**TEXT, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"norm_type": "layernorm"}, "norm_type"),
        ({"attn_bias": True}, "biases"),
        ({"mm_hidden_size": 1023}, "mm_hidden_size"),
        ({"qkv_hidden_size": 1537}, "qkv_hidden_size"),
        ({"n_windows": 3}, "n_windows"),
    ],
)
def test_what_a_tower_may_not_say(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(llmcalc.InputError, match=said):
        llmcalc.load({**WHOLE, "vision_config": {**VISION, **changes}})
