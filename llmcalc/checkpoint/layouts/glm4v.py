"""GLM-4V's tower and merger under ``model.visual``, and those of GLM-OCR."""

from .qwen2_vl import BLOCKS, VISION

MERGER = f"{VISION}.merger"
TEXT = (
    f"""
{VISION}.embeddings.position_embedding.weight <- position.w | tower
{VISION}.patch_embed.proj.weight <- patch.w | tower
{VISION}.patch_embed.proj.bias <- patch.b | tower
{VISION}.post_conv_layernorm.weight <- pre_norm.w | tower
{VISION}.post_layernorm.weight <- post_norm.w | tower
{VISION}.downsample.weight <- downsample.w
{VISION}.downsample.bias <- downsample.b
{MERGER}.proj.weight <- merger_in.w
{MERGER}.post_projection_norm.weight <- merger_norm.w
{MERGER}.post_projection_norm.bias <- merger_norm.b
{MERGER}.gate_proj.weight <- merger.wg
{MERGER}.up_proj.weight <- merger.wu
{MERGER}.down_proj.weight <- merger.wd
"""
    + BLOCKS
)
