"""Gemma 4: the language model under ``model.language_model``, its towers and what is between."""

from .gemma4_text import TEXT as LANGUAGE
from .gemma_audio import TEXT as AUDIO

LAYER = "model.vision_tower.encoder.layers.{i}"
TOWER = f"""
model.vision_tower.patch_embedder.position_embedding_table <- position.w
model.vision_tower.patch_embedder.input_proj.weight <- patch.w
model.embed_vision.embedding_projection.weight <- projector.w
{LAYER}.self_attn.q_proj.linear.weight <- attention.wq | tower
{LAYER}.self_attn.k_proj.linear.weight <- attention.wk | tower
{LAYER}.self_attn.v_proj.linear.weight <- attention.wv | tower
{LAYER}.self_attn.o_proj.linear.weight <- attention.wo | tower
{LAYER}.self_attn.q_norm.weight <- attention.q_norm | tower
{LAYER}.self_attn.k_norm.weight <- attention.k_norm | tower
{LAYER}.mlp.gate_proj.linear.weight <- mlp.wg | tower
{LAYER}.mlp.up_proj.linear.weight <- mlp.wu | tower
{LAYER}.mlp.down_proj.linear.weight <- mlp.wd | tower
{LAYER}.input_layernorm.weight <- sublayer0.pre_norm.w | tower
{LAYER}.post_attention_layernorm.weight <- sublayer0.post_norm.w | tower
{LAYER}.pre_feedforward_layernorm.weight <- sublayer1.pre_norm.w | tower
{LAYER}.post_feedforward_layernorm.weight <- sublayer1.post_norm.w | tower
"""
TEXT = AUDIO + TOWER + LANGUAGE.replace("model.", "model.language_model.")
