"""Gemma 4's language model: Gemma 2's names, experts beside the MLP, and each layer's own input."""

from .gemma2 import TEXT as GEMMA

PREFIX = "model."
PER_LAYER = """
model.embed_tokens_per_layer.weight <- per_layer.w
model.per_layer_model_projection.weight <- per_layer.project
model.per_layer_projection_norm.weight <- per_layer.norm
model.layers.{i}.per_layer_input_gate.weight <- per_layer_gate.gate
model.layers.{i}.per_layer_projection.weight <- per_layer_gate.out
model.layers.{i}.post_per_layer_input_norm.weight <- sublayer2.post_norm.w
model.layers.{i}.layer_scalar <- scale.w
"""
EXPERTS = """
model.layers.{i}.pre_feedforward_layernorm.weight <- mlp/mlp_pre_norm.w
model.layers.{i}.post_feedforward_layernorm_1.weight <- mlp/mlp_post_norm.w
model.layers.{i}.pre_feedforward_layernorm_2.weight <- mlp/moe_pre_norm.w
model.layers.{i}.post_feedforward_layernorm_2.weight <- mlp/moe_post_norm.w
model.layers.{i}.router.proj.weight <- moe.router
model.layers.{i}.router.scale <- moe.input_scale
model.layers.{i}.router.per_expert_scale <- moe.expert_scale
model.layers.{i}.experts.gate_up_proj <- moe.wg moe.wu
model.layers.{i}.experts.down_proj <- moe.wd
"""
TEXT = GEMMA + PER_LAYER + EXPERTS
