"""A.X K2: queries and their gate in one matrix, norms with a gate of low rank."""

from .deepseek_v32 import TEXT as INDEXED

INPUT, BEHIND = "model.layers.{i}.input_layernorm", "model.layers.{i}.post_attention_layernorm"
NORMS = f"""
{INPUT}.norm.weight <- sublayer0.pre_norm.w
{INPUT}.mlp.fc1.weight <- sublayer0.pre_norm.gate_in
{INPUT}.mlp.fc2.weight <- sublayer0.pre_norm.gate_out
{BEHIND}.norm.weight <- moe.pre_norm.w
{BEHIND}.mlp.fc1.weight <- moe.pre_norm.gate_in
{BEHIND}.mlp.fc2.weight <- moe.pre_norm.gate_out
model.layers.{{i}}.self_attn.q_gate_proj.weight <- mla.wqb mla.wgate | heads
"""
TEXT = NORMS + INDEXED
