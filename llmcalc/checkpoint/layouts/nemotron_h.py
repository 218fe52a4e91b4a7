"""Nemotron-H and Nemotron 3: one mixer a layer, whatever it is."""

from .llama import ATTENTION
from .mamba2 import MIXER

PREFIX = "model."

TEXT = (
    MIXER.replace("{p}", "model.layers.{i}.mixer")
    + ATTENTION.replace(".self_attn.", ".mixer.")
    + """
model.embeddings.weight <- token.w
model.layers.{i}.norm.weight <- sublayer0.pre_norm.w
model.norm_f.weight <- norm.w
lm_head.weight <- head.w
model.layers.{i}.mixer.up_proj.weight <- mlp.wu
model.layers.{i}.mixer.down_proj.weight <- mlp.wd
model.layers.{i}.mixer.up_proj.bias <- mlp.bu
model.layers.{i}.mixer.down_proj.bias <- mlp.bd
model.layers.{i}.mixer.gate.weight <- moe.router
model.layers.{i}.mixer.gate.e_score_correction_bias <- moe.correction
model.layers.{i}.mixer.experts.up_proj <- moe.wu
model.layers.{i}.mixer.experts.down_proj <- moe.wd
model.layers.{i}.mixer.shared_experts.up_proj.weight <- moe.shared.wu
model.layers.{i}.mixer.shared_experts.down_proj.weight <- moe.shared.wd
model.layers.{i}.mixer.shared_experts.up_proj.bias <- moe.shared.bu
model.layers.{i}.mixer.shared_experts.down_proj.bias <- moe.shared.bd
model.layers.{i}.mixer.fc1_latent_proj.weight <- moe.w_in
model.layers.{i}.mixer.fc2_latent_proj.weight <- moe.w_out
model.layers.{i}.mixer.fc1_latent_proj.bias <- moe.b_in
model.layers.{i}.mixer.fc2_latent_proj.bias <- moe.b_out
"""
)
