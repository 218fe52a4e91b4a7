"""Kimi K2.5: DeepSeek-V3 under ``model.language_model``, a MoonViT tower and its projector."""

from .deepseek_v3 import TEXT as LANGUAGE

VISION = "model.vision_tower"
TOWER = f"""
{VISION}.patch_embed.proj.weight <- patch.w
{VISION}.patch_embed.proj.bias <- patch.b
{VISION}.patch_embed.pos_emb.position_embeddings <- position.w
{VISION}.layers.{{i}}.norm1.weight <- sublayer0.pre_norm.w | tower
{VISION}.layers.{{i}}.norm1.bias <- sublayer0.pre_norm.b | tower
{VISION}.layers.{{i}}.norm2.weight <- sublayer1.pre_norm.w | tower
{VISION}.layers.{{i}}.norm2.bias <- sublayer1.pre_norm.b | tower
{VISION}.layers.{{i}}.attn.q_proj.weight <- attention.wq
{VISION}.layers.{{i}}.attn.q_proj.bias <- attention.bq
{VISION}.layers.{{i}}.attn.k_proj.weight <- attention.wk
{VISION}.layers.{{i}}.attn.k_proj.bias <- attention.bk
{VISION}.layers.{{i}}.attn.v_proj.weight <- attention.wv
{VISION}.layers.{{i}}.attn.v_proj.bias <- attention.bv
{VISION}.layers.{{i}}.attn.proj.weight <- attention.wo
{VISION}.layers.{{i}}.attn.proj.bias <- attention.bo
{VISION}.layers.{{i}}.mlp.fc1.weight <- mlp.wu | tower
{VISION}.layers.{{i}}.mlp.fc1.bias <- mlp.bu | tower
{VISION}.layers.{{i}}.mlp.fc2.weight <- mlp.wd | tower
{VISION}.layers.{{i}}.mlp.fc2.bias <- mlp.bd | tower
{VISION}.final_layernorm.weight <- norm.w | tower
{VISION}.final_layernorm.bias <- norm.b | tower
model.mm_projector.pre_norm.weight <- projector_norm.w
model.mm_projector.pre_norm.bias <- projector_norm.b
model.mm_projector.in_proj.weight <- projector_in.w
model.mm_projector.in_proj.bias <- projector_in.b
model.mm_projector.out_proj.weight <- projector_out.w
model.mm_projector.out_proj.bias <- projector_out.b
"""
TEXT = TOWER + LANGUAGE.replace("model.", "model.language_model.")
