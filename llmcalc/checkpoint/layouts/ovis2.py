"""Ovis 2's tower with its head over visual words, and the table of these."""

VISION = "model.vision_tower"
LAYER = f"{VISION}.transformer.encoder.layers.{{i}}"
TEXT = f"""
{VISION}.transformer.embeddings.patch_embedding.weight <- patch.w | tower
{VISION}.transformer.embeddings.patch_embedding.bias <- patch.b | tower
{VISION}.transformer.embeddings.position_embedding.weight <- position.w | tower
{VISION}.transformer.embeddings.rms_norm.weight <- pre_norm.w | tower
{LAYER}.attention.q_proj.weight <- attention.wq | tower
{LAYER}.attention.q_proj.bias <- attention.bq | tower
{LAYER}.attention.k_proj.weight <- attention.wk | tower
{LAYER}.attention.k_proj.bias <- attention.bk | tower
{LAYER}.attention.v_proj.weight <- attention.wv | tower
{LAYER}.attention.v_proj.bias <- attention.bv | tower
{LAYER}.attention.out_proj.weight <- attention.wo | tower
{LAYER}.attention.out_proj.bias <- attention.bo | tower
{LAYER}.ffn.gate_proj.weight <- mlp.wg | tower
{LAYER}.ffn.gate_proj.bias <- mlp.bg | tower
{LAYER}.ffn.up_proj.weight <- mlp.wu | tower
{LAYER}.ffn.up_proj.bias <- mlp.bu | tower
{LAYER}.ffn.down_proj.weight <- mlp.wd | tower
{LAYER}.ffn.down_proj.bias <- mlp.bd | tower
{LAYER}.rms_norm1.weight <- sublayer0.pre_norm.w | tower
{LAYER}.rms_norm2.weight <- sublayer1.pre_norm.w | tower
{VISION}.transformer.rms_norm.weight <- post_norm.w | tower
{VISION}.head_linear.weight <- visual_head.w
{VISION}.head_norm.weight <- visual_head_norm.w
{VISION}.head_norm.bias <- visual_head_norm.b
model.visual_embeddings_table.weight <- visual_table.w | transposed
"""
