"""CLIP's and SigLIP's towers under ``model.vision_tower``, and the projectors of LLaVA, PaliGemma and Gemma 3."""

VISION = "model.vision_tower"
LAYER = f"{VISION}.encoder.layers.{{i}}"
ENCODER = f"""
{VISION}.embeddings.class_embedding <- class.w | tower flat
{VISION}.embeddings.patch_embedding.weight <- patch.w | tower
{VISION}.embeddings.patch_embedding.bias <- patch.b | tower
{VISION}.embeddings.position_embedding.weight <- position.w | tower
{VISION}.pre_layrnorm.weight <- pre_norm.w | tower
{VISION}.pre_layrnorm.bias <- pre_norm.b | tower
{LAYER}.self_attn.q_proj.weight <- attention.wq | tower
{LAYER}.self_attn.q_proj.bias <- attention.bq | tower
{LAYER}.self_attn.k_proj.weight <- attention.wk | tower
{LAYER}.self_attn.k_proj.bias <- attention.bk | tower
{LAYER}.self_attn.v_proj.weight <- attention.wv | tower
{LAYER}.self_attn.v_proj.bias <- attention.bv | tower
{LAYER}.self_attn.out_proj.weight <- attention.wo | tower
{LAYER}.self_attn.out_proj.bias <- attention.bo | tower
{LAYER}.layer_norm1.weight <- sublayer0.pre_norm.w | tower
{LAYER}.layer_norm1.bias <- sublayer0.pre_norm.b | tower
{LAYER}.layer_norm2.weight <- sublayer1.pre_norm.w | tower
{LAYER}.layer_norm2.bias <- sublayer1.pre_norm.b | tower
{LAYER}.mlp.fc1.weight <- mlp.wu | tower
{LAYER}.mlp.fc1.bias <- mlp.bu | tower
{LAYER}.mlp.fc2.weight <- mlp.wd | tower
{LAYER}.mlp.fc2.bias <- mlp.bd | tower
{VISION}.post_layernorm.weight <- post_norm.w | tower
{VISION}.post_layernorm.bias <- post_norm.b | tower
{VISION}.head.probe <- probe.w | row
{VISION}.head.attention.in_proj_weight <- pooling.wq pooling.wk pooling.wv
{VISION}.head.attention.in_proj_bias <- pooling.bq pooling.bk pooling.bv
{VISION}.head.attention.out_proj.weight <- pooling.wo
{VISION}.head.attention.out_proj.bias <- pooling.bo
{VISION}.head.layernorm.weight <- pooling_norm.w
{VISION}.head.layernorm.bias <- pooling_norm.b
{VISION}.head.mlp.fc1.weight <- pooling_mlp.wu
{VISION}.head.mlp.fc1.bias <- pooling_mlp.bu
{VISION}.head.mlp.fc2.weight <- pooling_mlp.wd
{VISION}.head.mlp.fc2.bias <- pooling_mlp.bd
"""
PROJECTOR = "model.multi_modal_projector"
PROJECTORS = f"""
{PROJECTOR}.projector_layernorm.weight <- projector_norm.w | tower
{PROJECTOR}.projector_layernorm.bias <- projector_norm.b | tower
{PROJECTOR}.linear_1.weight <- projector_in.w
{PROJECTOR}.linear_1.bias <- projector_in.b
{PROJECTOR}.linear_2.weight <- projector_out.w
{PROJECTOR}.linear_2.bias <- projector_out.b
{PROJECTOR}.linear.weight <- projector.w
{PROJECTOR}.linear.bias <- projector.b
{PROJECTOR}.mm_soft_emb_norm.weight <- pooled_norm.w
{PROJECTOR}.mm_input_projection_weight <- pooled.w | transposed
model.image_newline <- newline.w | flat
"""
TEXT = ENCODER + PROJECTORS


def encoder(place: str) -> str:
    """Such a tower at another place."""
    return ENCODER.replace(VISION, place)


def by_kind(rules: str) -> str:
    """Rules whose norms go by the kind of their sub-layer, too, where a language model's do."""
    changed = rules.replace("sublayer0.pre_norm", "attention.pre_norm").replace("sublayer1.pre_norm", "mlp.pre_norm")
    return f"{rules}\n{changed}"
