"""Llama 3.2 Vision's tower of two stacks, and its projector."""

VISION = "model.vision_model"
LAYER = f"{VISION}.{{side}}.layers.{{i}}"
TEXT = f"""
{VISION}.class_embedding <- class.w | tower flat
{VISION}.patch_embedding.weight <- patch.w | tower
{VISION}.gated_positional_embedding.gate <- position_gate.w | tower
{VISION}.gated_positional_embedding.embedding <- position.w | tower
{VISION}.gated_positional_embedding.tile_embedding.weight <- tile.w | tower
{VISION}.pre_tile_positional_embedding.embedding.weight <- before.w | tower
{VISION}.pre_tile_positional_embedding.gate <- before_gate.w | tower
{VISION}.post_tile_positional_embedding.embedding.weight <- after.w | tower
{VISION}.post_tile_positional_embedding.gate <- after_gate.w | tower
{VISION}.layernorm_pre.weight <- pre_norm.w | tower
{VISION}.layernorm_pre.bias <- pre_norm.b | tower
{VISION}.layernorm_post.weight <- post_norm.w | tower
{VISION}.layernorm_post.bias <- post_norm.b | tower
{LAYER}.self_attn.q_proj.weight <- attention.wq | tower
{LAYER}.self_attn.k_proj.weight <- attention.wk | tower
{LAYER}.self_attn.v_proj.weight <- attention.wv | tower
{LAYER}.self_attn.o_proj.weight <- attention.wo | tower
{LAYER}.mlp.fc1.weight <- mlp.wu | tower
{LAYER}.mlp.fc1.bias <- mlp.bu | tower
{LAYER}.mlp.fc2.weight <- mlp.wd | tower
{LAYER}.mlp.fc2.bias <- mlp.bd | tower
{LAYER}.input_layernorm.weight <- sublayer0.pre_norm.w | tower
{LAYER}.input_layernorm.bias <- sublayer0.pre_norm.b | tower
{LAYER}.post_attention_layernorm.weight <- sublayer1.pre_norm.w | tower
{LAYER}.post_attention_layernorm.bias <- sublayer1.pre_norm.b | tower
{LAYER}.gate_attn <- attention/scale.w | tower
{LAYER}.gate_ffn <- mlp/scale.w | tower
model.multi_modal_projector.weight <- projector.w
model.multi_modal_projector.bias <- projector.b
"""
