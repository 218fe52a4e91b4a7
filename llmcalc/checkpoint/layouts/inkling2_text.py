"""Inkling 2: attention over depth before each part of a layer, projections in modules of their own."""

from .llama import OUTER
from .mixtral import EXPERTS

ATTENTION = """
model.layers.{i}.self_attn.q_proj.linear.weight <- relative_profile_attention.wq
model.layers.{i}.self_attn.q_proj.norm.scale <- relative_profile_attention.q_scale
model.layers.{i}.self_attn.k_proj.linear.weight <- relative_profile_attention.wk
model.layers.{i}.self_attn.v_proj.linear.weight <- relative_profile_attention.wv
model.layers.{i}.self_attn.k_proj.sconv.conv1d.weight <- relative_profile_attention.conv_k
model.layers.{i}.self_attn.v_proj.sconv.conv1d.weight <- relative_profile_attention.conv_v
model.layers.{i}.self_attn.k_proj.sconv.static_weight <- relative_profile_attention.taps_k
model.layers.{i}.self_attn.v_proj.sconv.static_weight <- relative_profile_attention.taps_v
model.layers.{i}.self_attn.k_proj.sconv.weight_proj.weight <- relative_profile_attention.wck
model.layers.{i}.self_attn.v_proj.sconv.weight_proj.weight <- relative_profile_attention.wcv
model.layers.{i}.self_attn.o_proj.gate_proj.weight <- relative_profile_attention.wgate
model.layers.{i}.self_attn.o_proj.linear.weight <- relative_profile_attention.wo
model.layers.{i}.self_attn.sink_proj.weight <- relative_profile_attention.wsink
model.layers.{i}.self_attn.relative_position_bias.linear.weight <- relative_profile_attention.wr
model.layers.{i}.self_attn.relative_position_bias.norm.scale <- relative_profile_attention.r_scale
model.layers.{i}.self_attn.relative_position_bias.proj <- relative_profile_attention.profiles
model.layers.{i}.q_input_layernorm.weight <- relative_profile_attention.q_input
model.layers.{i}.k_input_layernorm.weight <- relative_profile_attention.k_input
model.layers.{i}.v_input_layernorm.weight <- relative_profile_attention.v_input
model.layers.{i}.input_layernorm.weight <- attention/attention_pre_norm.w
model.layers.{i}.post_attention_layernorm.weight <- mlp/mlp_pre_norm.w
model.layers.{i}.post_attention_convolution.conv1d.weight <- attention/residual_conv.conv
model.layers.{i}.post_mlp_convolution.conv1d.weight <- mlp/residual_conv.conv
"""
DEPTH = """
model.embed_tokens.embed_norm.weight <- token.norm
model.final_input.query <- depth.query
model.message_input.query <- messages.query
model.layers.{i}.attention_input.query <- attention/depth_attention.query
model.layers.{i}.mlp_input.query <- mlp/depth_attention.query
"""
_GATES = (("q", "attention", 0), ("k", "attention", 1), ("v", "attention", 2), ("mlp", "mlp", 0))
_TENSORS = {"down_proj": "w_down", "forget_gate_proj": "w_forget", "message_gate_proj": "w_message"}
GATES = "".join(
    f"model.layers.{{i}}.{gate}_message_gate.{stored}.weight <- {part}/depth_attention.{tensor}{number}\n"
    for gate, part, number in _GATES
    for stored, tensor in _TENSORS.items()
)
TEXT = OUTER + ATTENTION + EXPERTS + DEPTH + GATES
