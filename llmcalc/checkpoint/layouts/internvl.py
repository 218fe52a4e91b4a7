"""InternViT and InternVL's projector."""

from .clip import PROJECTOR, VISION

LAYER = f"{VISION}.encoder.layer.{{i}}"
TEXT = f"""
{VISION}.embeddings.cls_token <- class.w | tower row
{VISION}.embeddings.mask_token <- mask.w | tower row
{VISION}.embeddings.position_embeddings <- position.w | tower row
{VISION}.embeddings.patch_embeddings.projection.weight <- patch.w | tower
{VISION}.embeddings.patch_embeddings.projection.bias <- patch.b | tower
{LAYER}.attention.q_proj.weight <- attention.wq | tower
{LAYER}.attention.q_proj.bias <- attention.bq | tower
{LAYER}.attention.k_proj.weight <- attention.wk | tower
{LAYER}.attention.k_proj.bias <- attention.bk | tower
{LAYER}.attention.v_proj.weight <- attention.wv | tower
{LAYER}.attention.v_proj.bias <- attention.bv | tower
{LAYER}.attention.projection_layer.weight <- attention.wo | tower
{LAYER}.attention.projection_layer.bias <- attention.bo | tower
{LAYER}.attention.q_norm.weight <- attention.q_norm | tower
{LAYER}.attention.k_norm.weight <- attention.k_norm | tower
{LAYER}.layernorm_before.weight <- sublayer0.pre_norm.w | tower
{LAYER}.layernorm_before.bias <- sublayer0.pre_norm.b | tower
{LAYER}.layernorm_after.weight <- sublayer1.pre_norm.w | tower
{LAYER}.layernorm_after.bias <- sublayer1.pre_norm.b | tower
{LAYER}.lambda_1 <- attention/scale.w | tower
{LAYER}.lambda_2 <- mlp/scale.w | tower
{LAYER}.mlp.fc1.weight <- mlp.wu | tower
{LAYER}.mlp.fc1.bias <- mlp.bu | tower
{LAYER}.mlp.fc2.weight <- mlp.wd | tower
{LAYER}.mlp.fc2.bias <- mlp.bd | tower
{VISION}.layernorm.weight <- post_norm.w | tower
{VISION}.layernorm.bias <- post_norm.b | tower
{PROJECTOR}.layer_norm.weight <- merged_norm.w
{PROJECTOR}.layer_norm.bias <- merged_norm.b
{PROJECTOR}.linear_1.weight <- merged_in.w
{PROJECTOR}.linear_1.bias <- merged_in.b
{PROJECTOR}.linear_2.weight <- merged_out.w
{PROJECTOR}.linear_2.bias <- merged_out.b
"""
