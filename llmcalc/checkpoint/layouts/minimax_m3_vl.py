"""MiniMax M3's tower, and a projector before and behind the merging of patches."""

from .clip import PROJECTOR, encoder

VISION = "model.vision_tower"
TEXT = f"""
{VISION}.embeddings.proj.weight <- patch.w | tower
{PROJECTOR}.linear_1.weight <- projector_in.w
{PROJECTOR}.linear_1.bias <- projector_in.b
{PROJECTOR}.linear_2.weight <- projector_out.w
{PROJECTOR}.linear_2.bias <- projector_out.b
{PROJECTOR}.merge_linear_1.weight <- merger_in.w
{PROJECTOR}.merge_linear_1.bias <- merger_in.b
{PROJECTOR}.merge_linear_2.weight <- merger_out.w
{PROJECTOR}.merge_linear_2.bias <- merger_out.b
""" + encoder(VISION).replace(".encoder.layers.", ".layers.")
