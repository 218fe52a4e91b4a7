"""OLMo Hybrid: norms before the sub-layers of gated delta nets, behind those of attention."""

from .llama import ATTENTION, MLP, OUTER

PREFIX = "model."

DELTA_NET = """
{p}.q_proj.weight <- gated_delta_net.wq
{p}.k_proj.weight <- gated_delta_net.wk
{p}.v_proj.weight <- gated_delta_net.wv
{p}.g_proj.weight <- gated_delta_net.wz
{p}.b_proj.weight <- gated_delta_net.wb
{p}.a_proj.weight <- gated_delta_net.wa
{p}.conv1d.weight <- gated_delta_net.conv_q gated_delta_net.conv_k gated_delta_net.conv_v
{p}.dt_bias <- gated_delta_net.dt_b
{p}.A_log <- gated_delta_net.A_log
{p}.o_norm.weight <- gated_delta_net.norm
{p}.o_proj.weight <- gated_delta_net.wo
"""
NORMS = """
model.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.post_attention_layernorm.weight <- sublayer1.pre_norm.w
model.layers.{i}.post_attention_layernorm.weight <- sublayer0.post_norm.w
model.layers.{i}.post_feedforward_layernorm.weight <- sublayer1.post_norm.w
"""
TEXT = OUTER + NORMS + ATTENTION + MLP + DELTA_NET.replace("{p}", "model.layers.{i}.linear_attn")
