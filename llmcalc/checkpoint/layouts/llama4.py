"""Llama 4: its tower beside the language model, without a common name before them."""

VISION = "vision_model"
LAYER = f"{VISION}.model.layers.{{i}}"
BEHIND, ALL = "language_model.", True
TEXT = f"""
{VISION}.patch_embedding.linear.weight <- patch.w | tower
{VISION}.class_embedding <- class.w | tower flat
{VISION}.positional_embedding_vlm <- position.w | tower
{VISION}.layernorm_pre.weight <- pre_norm.w | tower
{VISION}.layernorm_pre.bias <- pre_norm.b | tower
{VISION}.layernorm_post.weight <- post_norm.w | tower
{VISION}.layernorm_post.bias <- post_norm.b | tower
{LAYER}.self_attn.q_proj.weight <- attention.wq | tower
{LAYER}.self_attn.q_proj.bias <- attention.bq | tower
{LAYER}.self_attn.k_proj.weight <- attention.wk | tower
{LAYER}.self_attn.k_proj.bias <- attention.bk | tower
{LAYER}.self_attn.v_proj.weight <- attention.wv | tower
{LAYER}.self_attn.v_proj.bias <- attention.bv | tower
{LAYER}.self_attn.o_proj.weight <- attention.wo | tower
{LAYER}.self_attn.o_proj.bias <- attention.bo | tower
{LAYER}.input_layernorm.weight <- sublayer0.pre_norm.w | tower
{LAYER}.input_layernorm.bias <- sublayer0.pre_norm.b | tower
{LAYER}.post_attention_layernorm.weight <- sublayer1.pre_norm.w | tower
{LAYER}.post_attention_layernorm.bias <- sublayer1.pre_norm.b | tower
{LAYER}.mlp.fc1.weight <- mlp.wu | tower
{LAYER}.mlp.fc1.bias <- mlp.bu | tower
{LAYER}.mlp.fc2.weight <- mlp.wd | tower
{LAYER}.mlp.fc2.bias <- mlp.bd | tower
{VISION}.vision_adapter.mlp.fc1.weight <- adapter_in.w
{VISION}.vision_adapter.mlp.fc2.weight <- adapter_out.w
multi_modal_projector.linear_1.weight <- projector.w
"""
