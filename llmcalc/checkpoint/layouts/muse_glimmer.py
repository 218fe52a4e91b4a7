"""Muse Glimmer's tower, adapter and projection."""

from .qwen2_vl import BLOCKS
from .qwen2_vl import VISION as PLACE

VISION = "model.vision_tower"
LAYER = f"{VISION}.layers.{{i}}"
TEXT = f"""
{VISION}.patch_embedder.patch_embedding.weight <- patch.w | tower
{VISION}.patch_embedder.position_embedding_table.weight <- position.w | tower
{VISION}.ln_pre.weight <- pre_norm.w | tower
{VISION}.ln_pre.bias <- pre_norm.b | tower
{VISION}.ln_post.weight <- post_norm.w | tower
{VISION}.ln_post.bias <- post_norm.b | tower
{LAYER}.attn.q_proj.weight <- attention.wq | tower
{LAYER}.attn.q_proj.bias <- attention.bq | tower
{LAYER}.attn.k_proj.weight <- attention.wk | tower
{LAYER}.attn.k_proj.bias <- attention.bk | tower
{LAYER}.attn.v_proj.weight <- attention.wv | tower
{LAYER}.attn.v_proj.bias <- attention.bv | tower
model.vision_adapter.fc1.weight <- projector_in.w
model.vision_adapter.fc2.weight <- projector_out.w
model.vision_projection.weight <- projector.w
""" + BLOCKS.replace(f"{PLACE}.blocks", f"{VISION}.layers")
