"""Idefics 2: SigLIP's tower, a gated layer and a resampler behind it, the language model under ``text_model``."""

from .clip import encoder

BEHIND = "model.text_model."
PROJECTION, RESAMPLER = "model.connector.modality_projection", "model.connector.perceiver_resampler"
LAYER = f"{RESAMPLER}.layers.{{i}}"
TEXT = f"""
{PROJECTION}.gate_proj.weight <- projector_gate.w
{PROJECTION}.up_proj.weight <- projector_up.w
{PROJECTION}.down_proj.weight <- projector_down.w
{RESAMPLER}.latents <- latents.w
{LAYER}.input_latents_norm.weight <- query_attention.pre_norm.w
{LAYER}.input_context_norm.weight <- query_attention.source_norm
{LAYER}.self_attn.q_proj.weight <- query_attention.wq
{LAYER}.self_attn.k_proj.weight <- query_attention.wk
{LAYER}.self_attn.v_proj.weight <- query_attention.wv
{LAYER}.self_attn.o_proj.weight <- query_attention.wo
{LAYER}.post_attention_layernorm.weight <- resampler_mlp/pre_norm.w
{LAYER}.mlp.gate_proj.weight <- resampler_mlp/mlp.wg
{LAYER}.mlp.up_proj.weight <- resampler_mlp/mlp.wu
{LAYER}.mlp.down_proj.weight <- resampler_mlp/mlp.wd
{RESAMPLER}.norm.weight <- resampled_norm.w
""" + encoder("model.vision_model")
