"""LFM3-VL's tower and projector."""

from .clip import PROJECTOR, PROJECTORS, VISION

LAYER = f"{VISION}.layers.{{i}}"
TEXT = (
    f"""
{VISION}.patch_embed.weight <- patch.w | tower
{VISION}.embedding_norm.weight <- pre_norm.w | tower
{LAYER}.conv.in_proj.weight <- short_conv.w_B short_conv.w_C short_conv.wx | tower
{LAYER}.conv.spatial_conv.weight <- short_conv.conv | tower
{LAYER}.conv.out_proj.weight <- short_conv.wo | tower
{LAYER}.self_attn.q_proj.weight <- attention.wq | tower
{LAYER}.self_attn.k_proj.weight <- attention.wk | tower
{LAYER}.self_attn.v_proj.weight <- attention.wv | tower
{LAYER}.self_attn.out_proj.weight <- attention.wo | tower
{LAYER}.self_attn.q_norm.weight <- attention.q_norm | tower
{LAYER}.self_attn.k_norm.weight <- attention.k_norm | tower
{LAYER}.operator_norm.weight <- mixer/pre_norm.w | tower
{LAYER}.ffn_norm.weight <- sublayer1.pre_norm.w | tower
{LAYER}.feed_forward.w1.weight <- mlp.wg | tower
{LAYER}.feed_forward.w3.weight <- mlp.wu | tower
{LAYER}.feed_forward.w2.weight <- mlp.wd | tower
{PROJECTOR}.layer_norm.weight <- projector_norm.w
{PROJECTOR}.layer_norm.bias <- projector_norm.b
"""
    + PROJECTORS
)
