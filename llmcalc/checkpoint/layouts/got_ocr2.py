"""GOT-OCR 2.0's tower, which is SAM's, and its projector."""

from .clip import PROJECTOR

VISION = "model.vision_tower"
LAYER = f"{VISION}.layers.{{i}}"
NECK = f"{VISION}.neck"
SAM = f"""
{VISION}.pos_embed <- sam_position.w | row
{VISION}.patch_embed.projection.weight <- sam_patch.w
{VISION}.patch_embed.projection.bias <- sam_patch.b
{LAYER}.layer_norm1.weight <- sam_attention/pre_norm.w
{LAYER}.layer_norm1.bias <- sam_attention/pre_norm.b
{LAYER}.attn.rel_pos_h <- grid_attention.rows
{LAYER}.attn.rel_pos_w <- grid_attention.columns
{LAYER}.attn.qkv.weight <- grid_attention.wq grid_attention.wk grid_attention.wv
{LAYER}.attn.qkv.bias <- grid_attention.bq grid_attention.bk grid_attention.bv
{LAYER}.attn.proj.weight <- grid_attention.wo
{LAYER}.attn.proj.bias <- grid_attention.bo
{LAYER}.layer_norm2.weight <- sam_mlp/pre_norm.w
{LAYER}.layer_norm2.bias <- sam_mlp/pre_norm.b
{LAYER}.mlp.lin1.weight <- sam_mlp/mlp.wu
{LAYER}.mlp.lin1.bias <- sam_mlp/mlp.bu
{LAYER}.mlp.lin2.weight <- sam_mlp/mlp.wd
{LAYER}.mlp.lin2.bias <- sam_mlp/mlp.bd
{NECK}.conv1.weight <- neck_in.w
{NECK}.layer_norm1.weight <- neck_in_norm.w
{NECK}.layer_norm1.bias <- neck_in_norm.b
{NECK}.conv2.weight <- neck_out.w
{NECK}.layer_norm2.weight <- neck_out_norm.w
{NECK}.layer_norm2.bias <- neck_out_norm.b
"""
TEXT = (
    SAM
    + f"""
{PROJECTOR}.conv_upsampler1.weight <- downsample_in.w
{PROJECTOR}.conv_upsampler2.weight <- downsample_out.w
{PROJECTOR}.multimodal_projector.weight <- projector.w
{PROJECTOR}.multimodal_projector.bias <- projector.b
"""
)
