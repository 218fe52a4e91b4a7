"""GGUF: one set of names for all architectures, with what each does otherwise. Names: the package gguf 0.19, constants.py.

Experts of a layer are one tensor, vectors that are stored as [1, n] elsewhere are [n], and heads are not told apart.
"""

from __future__ import annotations

_BLOCK = "blk.{i}"
_SEPARATE = """
{p}.attn_q.weight <- attention.wq
{p}.attn_k.weight <- attention.wk
{p}.attn_v.weight <- attention.wv
{p}.attn_q.bias <- attention.bq
{p}.attn_k.bias <- attention.bk
{p}.attn_v.bias <- attention.bv
"""
_FUSED = """
{p}.attn_qkv.weight <- attention.wq attention.wk attention.wv
{p}.attn_qkv.bias <- attention.bq attention.bk attention.bv
"""
_ATTENTION = """
{p}.attn_output.weight <- attention.wo
{p}.attn_output.bias <- attention.bo
{p}.attn_q_norm.weight <- attention.q_norm
{p}.attn_k_norm.weight <- attention.k_norm
{p}.attn_sinks.weight <- attention.sinks
"""
_GATED_ATTENTION = """
{p}.attn_q.weight <- attention.wq attention.wgate | heads
"""
_MLA = """
{p}.attn_q.weight <- mla.wq
{p}.attn_q_a.weight <- mla.wqa
{p}.attn_q_a_norm.weight <- mla.q_norm
{p}.attn_q_b.weight <- mla.wqb
{p}.attn_kv_a_mqa.weight <- mla.wkva mla.wkr
{p}.attn_kv_a_norm.weight <- mla.kv_norm
{p}.attn_output.weight <- mla.wo
"""
_APART = """
{p}.attn_k_b.weight <- mla.wkb
{p}.attn_v_b.weight <- mla.wvb
"""
_TOGETHER = """
{p}.attn_kv_b.weight <- mla.wkb mla.wvb | heads
"""
_MLP = """
{p}.ffn_gate.weight <- mlp.wg
{p}.ffn_up.weight <- mlp.wu
{p}.ffn_down.weight <- mlp.wd
{p}.ffn_gate.bias <- mlp.bg
{p}.ffn_up.bias <- mlp.bu
{p}.ffn_down.bias <- mlp.bd
"""
_FUSED_MLP = """
{p}.ffn_up.weight <- mlp.wg mlp.wu
"""
_MOE = """
{p}.ffn_gate_inp.weight <- moe.router
{p}.ffn_gate_inp.bias <- moe.router_b
{p}.exp_probs_b.bias <- moe.correction
{p}.ffn_gate_exps.weight <- moe.wg
{p}.ffn_up_exps.weight <- moe.wu
{p}.ffn_down_exps.weight <- moe.wd
{p}.ffn_gate_exps.bias <- moe.bg
{p}.ffn_up_exps.bias <- moe.bu
{p}.ffn_down_exps.bias <- moe.bd
{p}.ffn_gate_shexp.weight <- moe.shared.wg
{p}.ffn_up_shexp.weight <- moe.shared.wu
{p}.ffn_down_shexp.weight <- moe.shared.wd
{p}.ffn_gate_inp_shexp.weight <- moe.shared_gate
"""
_SSM = """
{p}.ssm_in.weight <- mamba.wx mamba.wz
{p}.ssm_conv1d.weight <- mamba.conv
{p}.ssm_conv1d.bias <- mamba.conv_b
{p}.ssm_x.weight <- mamba.w_dt mamba.w_B mamba.w_C
{p}.ssm_dt.weight <- mamba.dt_up
{p}.ssm_dt.bias <- mamba.dt_b
{p}.ssm_a <- mamba.A_log
{p}.ssm_d <- mamba.D
{p}.ssm_out.weight <- mamba.wo
{p}.ssm_dt_norm.weight <- mamba.dt_norm
{p}.ssm_b_norm.weight <- mamba.B_norm
{p}.ssm_c_norm.weight <- mamba.C_norm
{p}.ssm_in.weight <- mamba2.wz mamba2.wx mamba2.w_B mamba2.w_C mamba2.w_dt
{p}.ssm_conv1d.weight <- mamba2.conv_x mamba2.conv_B mamba2.conv_C
{p}.ssm_conv1d.bias <- mamba2.conv_x_b mamba2.conv_B_b mamba2.conv_C_b
{p}.ssm_dt.bias <- mamba2.dt_b
{p}.ssm_a <- mamba2.A_log
{p}.ssm_d <- mamba2.D
{p}.ssm_norm.weight <- mamba2.norm
{p}.ssm_out.weight <- mamba2.wo
{p}.shortconv.in_proj.weight <- short_conv.w_B short_conv.w_C short_conv.wx
{p}.shortconv.conv.weight <- short_conv.conv
{p}.shortconv.out_proj.weight <- short_conv.wo
"""
_DELTA_NET = """
{p}.attn_qkv.weight <- gated_delta_net.wq gated_delta_net.wk gated_delta_net.wv
{p}.attn_gate.weight <- gated_delta_net.wz
{p}.ssm_ba.weight <- gated_delta_net.wb gated_delta_net.wa
{p}.ssm_conv1d.weight <- gated_delta_net.conv_q gated_delta_net.conv_k gated_delta_net.conv_v
{p}.ssm_dt.bias <- gated_delta_net.dt_b
{p}.ssm_a <- gated_delta_net.A_log
{p}.ssm_norm.weight <- gated_delta_net.norm
{p}.ssm_out.weight <- gated_delta_net.wo
"""
_APART_GATES = """
{p}.ssm_beta.weight <- gated_delta_net.wb
{p}.ssm_alpha.weight <- gated_delta_net.wa
"""
_OUTER = """
token_embd.weight <- token.w
position_embd.weight <- position.w
token_types.weight <- segment.w
token_embd_norm.weight <- table_norm.w
token_embd_norm.bias <- table_norm.b
output_norm.weight <- norm.w
output_norm.bias <- norm.b
output.weight <- head.w
output.bias <- head.b
"""
# places of norms: name in the file, place in a block
_NORMS = "attn_norm sublayer0.pre_norm", "ffn_norm sublayer1.pre_norm"
_SANDWICH = "post_attention_norm sublayer0.post_norm", "post_ffw_norm sublayer1.post_norm"
_SECOND = "attn_norm sublayer0.pre_norm", "post_attention_norm sublayer1.pre_norm"
_AFTER = "attn_output_norm sublayer0.norm", "layer_output_norm sublayer1.norm"
_FALCON = "attn_norm sublayer0.pre_norm", "attn_norm sublayer0.mlp_pre_norm", "attn_norm_2 sublayer0.attention_pre_norm"
_NEOX = "attn_norm sublayer0.attention_pre_norm", "ffn_norm sublayer0.mlp_pre_norm", *_NORMS
_NORMS_OF = {
    "gemma2": (*_NORMS, *_SANDWICH),
    "gemma3": (*_NORMS, *_SANDWICH),
    "glm4": (*_NORMS, *_SANDWICH),
    "olmo2": _SANDWICH,
    "exaone4": _SANDWICH,
    "gpt-oss": _SECOND,
    "glm4moe": _SECOND,
    "seed_oss": _SECOND,
    "qwen3next": _SECOND,
    "qwen35": _SECOND,
    "qwen35moe": _SECOND,
    "bert": _AFTER,
    "falcon": _FALCON,
    "gptneox": _NEOX,
}
_FUSED_ARCHS = frozenset(["gpt2", "gptneox", "falcon", "bloom", "phi2", "phi3", "starcoder"])
_GATED_ARCHS = frozenset(("qwen3next", "qwen35", "qwen35moe"))
_FUSED_MLPS = frozenset(("phi3", "glm4"))
_SIDES = ("encoder enc.", "decoder dec.")
_T5 = """
{s}blk.{i}.attn_norm.weight <- sublayer0.pre_norm.w
{s}blk.{i}.attn_q.weight <- attention.wq
{s}blk.{i}.attn_k.weight <- attention.wk
{s}blk.{i}.attn_v.weight <- attention.wv
{s}blk.{i}.attn_o.weight <- attention.wo
{s}blk.{i}.attn_rel_b.weight <- attention.relative_bias
{s}blk.{i}.cross_attn_norm.weight <- cross_attention.pre_norm.w
{s}blk.{i}.cross_attn_q.weight <- cross_attention.wq
{s}blk.{i}.cross_attn_k.weight <- cross_attention.wk
{s}blk.{i}.cross_attn_v.weight <- cross_attention.wv
{s}blk.{i}.cross_attn_o.weight <- cross_attention.wo
{s}blk.{i}.ffn_norm.weight <- mlp.pre_norm.w
{s}blk.{i}.ffn_gate.weight <- mlp.wg
{s}blk.{i}.ffn_up.weight <- mlp.wu
{s}blk.{i}.ffn_down.weight <- mlp.wd
{s}output_norm.weight <- norm.w
"""


def text(arch: str, old: bool = False) -> str:
    """The rules of an architecture; ``old``: keys and values of latent attention in one tensor and experts one by one,
    as in older files.
    """
    if arch == "t5":
        sides = [side.split() for side in _SIDES]
        lines = [f"{line} | {role}" for role, mark in sides for line in _T5.strip().replace("{s}", mark).splitlines()]
        return "\n".join(lines) + _OUTER
    outer = _OUTER
    if arch.startswith("lfm2"):
        outer = outer.replace("output_norm.weight <- norm.w", "token_embd_norm.weight <- norm.w")
    if arch == "bert":
        outer = outer.replace("output_norm.", "token_embd_norm.")
    places = [place.split() for place in _NORMS_OF.get(arch, _NORMS)]
    norms = [f"{{p}}.{name}.{kind} <- {place}.{kind[0]}" for name, place in places for kind in ("weight", "bias")]
    parts = [
        outer,
        "\n".join(norms),
        _GATED_ATTENTION if arch in _GATED_ARCHS else "",
        _APART_GATES if arch.startswith("qwen35") else "",
        _FUSED if arch in _FUSED_ARCHS else _SEPARATE,
        _ATTENTION,
        _MLA,
        _TOGETHER if old else _APART,
        _FUSED_MLP if arch in _FUSED_MLPS else "",
        _MLP,
        _MOE.replace("_exps.weight", ".{x}.weight") if old else _MOE,
        _SSM,
        _DELTA_NET,
    ]
    return "\n".join(parts).replace("{p}", _BLOCK)
