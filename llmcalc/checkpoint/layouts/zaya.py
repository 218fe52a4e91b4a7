"""ZAYA: projections and convolutions of its attention together, scales on the residual stream."""

PREFIX = "model."
_SCALES = "".join(
    f"""
model.layers.{{i}}.{name}_residual_scale.hidden_states_scale <- {layer}/affine.w
model.layers.{{i}}.{name}_residual_scale.hidden_states_bias <- {layer}/affine.b
model.layers.{{i}}.{name}_residual_scale.residual_scale <- {layer}/affine.rw
model.layers.{{i}}.{name}_residual_scale.residual_bias <- {layer}/affine.rb
"""
    for name, layer in (("post_attention", "attention"), ("post_mlp", "moe"))
)
TEXT = (
    _SCALES
    + """
model.embed_tokens.weight <- token.w
model.input_hidden_states_scale <- scale.w
model.input_hidden_states_bias <- scale.b
model.norm.weight <- norm.w
lm_head.weight <- head.w
lm_head.bias <- head.b
model.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.post_attention_layernorm.weight <- sublayer1.pre_norm.w
model.layers.{i}.self_attn.qkv_proj.q_proj.weight <- compressed_convolutional_attention.wq
model.layers.{i}.self_attn.qkv_proj.q_proj.bias <- compressed_convolutional_attention.bq
model.layers.{i}.self_attn.qkv_proj.k_proj.weight <- compressed_convolutional_attention.wk
model.layers.{i}.self_attn.qkv_proj.k_proj.bias <- compressed_convolutional_attention.bk
model.layers.{i}.self_attn.qkv_proj.v_proj_current.weight <- compressed_convolutional_attention.wv
model.layers.{i}.self_attn.qkv_proj.v_proj_current.bias <- compressed_convolutional_attention.bv
model.layers.{i}.self_attn.qkv_proj.v_proj_delayed.weight <- compressed_convolutional_attention.wv_before
model.layers.{i}.self_attn.qkv_proj.v_proj_delayed.bias <- compressed_convolutional_attention.bv_before
model.layers.{i}.self_attn.qkv_proj.conv_qk_depthwise.weight <- compressed_convolutional_attention.conv
model.layers.{i}.self_attn.qkv_proj.conv_qk_depthwise.bias <- compressed_convolutional_attention.conv_b
model.layers.{i}.self_attn.qkv_proj.conv_qk_grouped.weight <- compressed_convolutional_attention.mix
model.layers.{i}.self_attn.qkv_proj.conv_qk_grouped.bias <- compressed_convolutional_attention.mix_b
model.layers.{i}.self_attn.qk_norm.temp <- compressed_convolutional_attention.temperature
model.layers.{i}.self_attn.o_proj.weight <- compressed_convolutional_attention.wo
model.layers.{i}.self_attn.o_proj.bias <- compressed_convolutional_attention.bo
model.layers.{i}.mlp.gate.down_proj.weight <- moe.router_in
model.layers.{i}.mlp.gate.down_proj.bias <- moe.router_in_b
model.layers.{i}.mlp.gate.balancing_biases <- moe.correction
model.layers.{i}.mlp.gate.router_states_scale <- moe.router_scale
model.layers.{i}.mlp.gate.router_mlp.norm.weight <- moe.router_norm
model.layers.{i}.mlp.gate.router_mlp.fc1.weight <- moe.router_1
model.layers.{i}.mlp.gate.router_mlp.fc1.bias <- moe.router_1_b
model.layers.{i}.mlp.gate.router_mlp.fc2.weight <- moe.router_2
model.layers.{i}.mlp.gate.router_mlp.fc2.bias <- moe.router_2_b
model.layers.{i}.mlp.gate.router_mlp.out_proj.weight <- moe.router
model.layers.{i}.mlp.experts.gate_up_proj <- moe.wg moe.wu
model.layers.{i}.mlp.experts.down_proj <- moe.wd
"""
)
