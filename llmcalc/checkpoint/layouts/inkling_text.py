"""Inkling: attention with profiles and convolutions, experts beside shared ones that the router weighs."""

from .llama import MLP, NORMS, OUTER
from .mixtral import EXPERTS

ATTENTION = """
model.embed_tokens.embed_norm.weight <- token.norm
model.layers.{i}.self_attn.q_proj.weight <- relative_profile_attention.wq
model.layers.{i}.self_attn.k_proj.weight <- relative_profile_attention.wk
model.layers.{i}.self_attn.v_proj.weight <- relative_profile_attention.wv
model.layers.{i}.self_attn.r_proj.weight <- relative_profile_attention.wr
model.layers.{i}.self_attn.o_proj.weight <- relative_profile_attention.wo
model.layers.{i}.self_attn.q_norm.weight <- relative_profile_attention.q_norm
model.layers.{i}.self_attn.k_norm.weight <- relative_profile_attention.k_norm
model.layers.{i}.self_attn.k_sconv.conv1d.weight <- relative_profile_attention.conv_k
model.layers.{i}.self_attn.v_sconv.conv1d.weight <- relative_profile_attention.conv_v
model.layers.{i}.self_attn.rel_logits_proj.proj <- relative_profile_attention.profiles
model.layers.{i}.attn_sconv.conv1d.weight <- attention/residual_conv.conv
model.layers.{i}.mlp_sconv.conv1d.weight <- mlp/residual_conv.conv
"""
FEED = """
model.layers.{i}.mlp.global_scale <- mlp.factor
model.layers.{i}.mlp.gate.global_scale <- moe.factor
model.layers.{i}.mlp.shared_experts.gate_proj <- moe.shared_wg
model.layers.{i}.mlp.shared_experts.up_proj <- moe.shared_wu
model.layers.{i}.mlp.shared_experts.down_proj <- moe.shared_wd
"""
TEXT = OUTER + NORMS + ATTENTION + MLP + EXPERTS + FEED
