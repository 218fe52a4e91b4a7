"""Qwen2-VL and Qwen2.5-VL: the tower under ``model.visual``, its merger within it."""

VISION = "model.visual"
BLOCK = f"{VISION}.blocks.{{i}}"
BLOCKS = f"""
{BLOCK}.norm1.weight <- sublayer0.pre_norm.w | tower
{BLOCK}.norm1.bias <- sublayer0.pre_norm.b | tower
{BLOCK}.norm2.weight <- sublayer1.pre_norm.w | tower
{BLOCK}.norm2.bias <- sublayer1.pre_norm.b | tower
{BLOCK}.attn.qkv.weight <- attention.wq attention.wk attention.wv | tower
{BLOCK}.attn.qkv.bias <- attention.bq attention.bk attention.bv | tower
{BLOCK}.attn.proj.weight <- attention.wo | tower
{BLOCK}.attn.proj.bias <- attention.bo | tower
{BLOCK}.attn.q_norm.weight <- attention.q_norm | tower
{BLOCK}.attn.k_norm.weight <- attention.k_norm | tower
{BLOCK}.mlp.fc1.weight <- mlp.wu | tower plain
{BLOCK}.mlp.fc1.bias <- mlp.bu | tower plain
{BLOCK}.mlp.fc2.weight <- mlp.wd | tower plain
{BLOCK}.mlp.fc2.bias <- mlp.bd | tower plain
{BLOCK}.mlp.gate_proj.weight <- mlp.wg | tower gated
{BLOCK}.mlp.gate_proj.bias <- mlp.bg | tower gated
{BLOCK}.mlp.up_proj.weight <- mlp.wu | tower gated
{BLOCK}.mlp.up_proj.bias <- mlp.bu | tower gated
{BLOCK}.mlp.down_proj.weight <- mlp.wd | tower gated
{BLOCK}.mlp.down_proj.bias <- mlp.bd | tower gated
"""
TEXT = (
    f"""
{VISION}.patch_embed.proj.weight <- patch.w | tower
{VISION}.merger.ln_q.weight <- merger_norm.w | tower
{VISION}.merger.ln_q.bias <- merger_norm.b | tower
{VISION}.merger.mlp.0.weight <- merger_in.w | tower
{VISION}.merger.mlp.0.bias <- merger_in.b | tower
{VISION}.merger.mlp.2.weight <- merger_out.w | tower
{VISION}.merger.mlp.2.bias <- merger_out.b | tower
"""
    + BLOCKS
)
