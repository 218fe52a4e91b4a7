"""HunyuanOCR's tower and merger, and those of Hunyuan 4 VL."""

from .clip import encoder

VISION = "model.vision_tower"
MERGER = f"{VISION}.patch_merger"
TEXT = f"""
{MERGER}.before_rms.weight <- merger_norm.w
{MERGER}.proj_conv.weight <- merger_conv.w
{MERGER}.proj_conv.bias <- merger_conv.b
{MERGER}.proj_out.weight <- merger_out.w
{MERGER}.proj_out.bias <- merger_out.b
{MERGER}.mlp.weight <- merger.w
{MERGER}.mlp.bias <- merger.b
{MERGER}.image_newline <- newline.w | flat
{MERGER}.image_begin <- begin.w | flat
{MERGER}.image_end <- end.w | flat
{MERGER}.image_sep <- separator.w | flat
{MERGER}.after_rms.weight <- after_norm.w
""" + encoder(VISION).replace(".encoder.layers.", ".layers.").replace("out_proj", "o_proj")
