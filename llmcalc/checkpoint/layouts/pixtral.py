"""Pixtral's tower, behind LLaVA's projector or that of Mistral Small 3.1."""

from .clip import PROJECTOR, PROJECTORS, VISION

LAYER = f"{VISION}.transformer.layers.{{i}}"
TEXT = (
    f"""
{VISION}.patch_conv.weight <- patch.w | tower
{VISION}.ln_pre.weight <- pre_norm.w | tower
{LAYER}.attention_norm.weight <- sublayer0.pre_norm.w | tower
{LAYER}.ffn_norm.weight <- sublayer1.pre_norm.w | tower
{LAYER}.attention.q_proj.weight <- attention.wq | tower
{LAYER}.attention.k_proj.weight <- attention.wk | tower
{LAYER}.attention.v_proj.weight <- attention.wv | tower
{LAYER}.attention.o_proj.weight <- attention.wo | tower
{LAYER}.feed_forward.gate_proj.weight <- mlp.wg | tower
{LAYER}.feed_forward.up_proj.weight <- mlp.wu | tower
{LAYER}.feed_forward.down_proj.weight <- mlp.wd | tower
{PROJECTOR}.norm.weight <- projector_norm.w
{PROJECTOR}.patch_merger.merging_layer.weight <- patch_merger.w
"""
    + PROJECTORS
)
