"""IDEFICS: LLaMA's names, those of gated layers and of a resampler, and CLIP's tower."""

from . import clip, llama

_GATED = """
{p}.cross_attn.q_proj.weight <- lone_cross_attention/cross_attention.wq
{p}.cross_attn.k_proj.weight <- lone_cross_attention/cross_attention.wk
{p}.cross_attn.v_proj.weight <- lone_cross_attention/cross_attention.wv
{p}.cross_attn.o_proj.weight <- lone_cross_attention/cross_attention.wo
{p}.cross_attn.q_layer_norm.weight <- lone_cross_attention/cross_attention.q_norm
{p}.cross_attn.k_layer_norm.weight <- lone_cross_attention/cross_attention.k_norm
{p}.input_layernorm.weight <- lone_cross_attention/pre_norm.w
{p}.alpha_cross_attn <- lone_cross_attention/scale.w
{p}.mlp.gate_proj.weight <- lone_mlp/mlp.wg
{p}.mlp.up_proj.weight <- lone_mlp/mlp.wu
{p}.mlp.down_proj.weight <- lone_mlp/mlp.wd
{p}.post_attention_layernorm.weight <- lone_mlp/pre_norm.w
{p}.alpha_dense <- lone_mlp/scale.w
""".replace("{p}", "model.gated_cross_attn_layers.{i}")
_WIDE = _GATED.replace("lone_", "wide_").replace("scale.w", "scale.w | row row")
_RESAMPLER = """
model.perceiver_resampler.latents <- latents.w
{b}.0.q_proj.weight <- attention/cross_attention.wq
{b}.0.k_proj.weight <- attention/cross_attention.wk
{b}.0.v_proj.weight <- attention/cross_attention.wv
{b}.0.output_proj.weight <- attention/cross_attention.wo
{b}.0.q_layer_norm.weight <- attention/cross_attention.q_norm
{b}.0.q_layer_norm.bias <- attention/cross_attention.q_norm_b
{b}.0.k_layer_norm.weight <- attention/cross_attention.k_norm
{b}.0.k_layer_norm.bias <- attention/cross_attention.k_norm_b
{b}.0.latents_layer_norm.weight <- cross_attention.pre_norm.w
{b}.0.latents_layer_norm.bias <- cross_attention.pre_norm.b
{b}.0.context_layer_norm.weight <- cross_attention.post_norm.w
{b}.0.context_layer_norm.bias <- cross_attention.post_norm.b
{b}.1.ln.weight <- resampled/pre_norm.w
{b}.1.ln.bias <- resampled/pre_norm.b
{b}.1.fc.weight <- resampled/mlp.wu
{b}.1.c_proj.weight <- resampled/mlp.wd
model.perceiver_resampler.layer_norm.weight <- resampled_norm.w
model.perceiver_resampler.layer_norm.bias <- resampled_norm.b
""".replace("{b}", "model.perceiver_resampler.blocks.{i}")
PREFIX = "model."
TEXT = (
    """
model.embed_tokens.additional_embedding.weight <- additional.w
lm_head.additional_fc.weight <- additional_head.w
"""
    + _GATED
    + _WIDE
    + _RESAMPLER
    + clip.ENCODER.replace(clip.VISION, "model.vision_model")
    + llama.TEXT
)
