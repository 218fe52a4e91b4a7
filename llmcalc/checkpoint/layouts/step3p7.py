"""Step 3.7's tower, which ends in two convolutions, and its projector."""

VISION = "model.vision_model"
LAYER = f"{VISION}.layers.{{i}}"
TEXT = f"""
{VISION}.embeddings.patch_embedding.weight <- patch.w | tower
{VISION}.embeddings.position_embedding.weight <- position.w | tower
{VISION}.pre_layernorm.weight <- pre_norm.w | tower
{VISION}.pre_layernorm.bias <- pre_norm.b | tower
{LAYER}.lambda_1 <- attention/scale.w | tower
{LAYER}.lambda_2 <- mlp/scale.w | tower
{LAYER}.self_attn.q_proj.weight <- attention.wq | tower
{LAYER}.self_attn.q_proj.bias <- attention.bq | tower
{LAYER}.self_attn.k_proj.weight <- attention.wk | tower
{LAYER}.self_attn.k_proj.bias <- attention.bk | tower
{LAYER}.self_attn.v_proj.weight <- attention.wv | tower
{LAYER}.self_attn.v_proj.bias <- attention.bv | tower
{LAYER}.self_attn.out_proj.weight <- attention.wo | tower
{LAYER}.self_attn.out_proj.bias <- attention.bo | tower
{LAYER}.layernorm_before.weight <- sublayer0.pre_norm.w | tower
{LAYER}.layernorm_before.bias <- sublayer0.pre_norm.b | tower
{LAYER}.layernorm_after.weight <- sublayer1.pre_norm.w | tower
{LAYER}.layernorm_after.bias <- sublayer1.pre_norm.b | tower
{LAYER}.mlp.fc1.weight <- mlp.wu | tower
{LAYER}.mlp.fc1.bias <- mlp.bu | tower
{LAYER}.mlp.fc2.weight <- mlp.wd | tower
{LAYER}.mlp.fc2.bias <- mlp.bd | tower
{VISION}.downsampler1.weight <- downsampler0.w
{VISION}.downsampler1.bias <- downsampler0.b
{VISION}.downsampler2.weight <- downsampler1.w
{VISION}.downsampler2.bias <- downsampler1.b
model.multi_modal_projector.weight <- projector.w
model.multi_modal_projector.bias <- projector.b
"""
