"""Molmo 2: its tower, and groups of neighbours that look at themselves."""

from .clip import ENCODER, PROJECTOR, VISION

POOLING, GATED = f"{PROJECTOR}.image_pooling_2d", f"{PROJECTOR}.image_projector"
TEXT = f"""
{VISION}.positional_embedding <- position.w | tower
{VISION}.patch_embedding.weight <- patch.w | tower
{VISION}.patch_embedding.bias <- patch.b | tower
{POOLING}.q_proj.weight <- pooling.wq
{POOLING}.q_proj.bias <- pooling.bq
{POOLING}.k_proj.weight <- pooling.wk
{POOLING}.k_proj.bias <- pooling.bk
{POOLING}.v_proj.weight <- pooling.wv
{POOLING}.v_proj.bias <- pooling.bv
{POOLING}.o_proj.weight <- pooling.wo
{POOLING}.o_proj.bias <- pooling.bo
{GATED}.gate_proj.weight <- projector_gate.w
{GATED}.gate_proj.bias <- projector_gate.b
{GATED}.up_proj.weight <- projector_up.w
{GATED}.up_proj.bias <- projector_up.b
{GATED}.down_proj.weight <- projector_down.w
""" + ENCODER.replace(".encoder.layers.", ".layers.").replace("self_attn.out_proj", "self_attn.o_proj")
