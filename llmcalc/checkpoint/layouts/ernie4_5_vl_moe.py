"""ERNIE 4.5 VL's tower, and the resampler behind it."""

from .qwen2_vl import BLOCKS
from .qwen2_vl import VISION as PLACE

VISION, RESAMPLER = "model.vision_tower", "model.resampler_model"
TEXT = f"""
{VISION}.patch_embed.proj.weight <- patch.w | tower
{VISION}.ln.weight <- post_norm.w | tower
{VISION}.ln.bias <- post_norm.b | tower
{RESAMPLER}.spatial_linear.fc1.weight <- spatial_in.w
{RESAMPLER}.spatial_linear.fc1.bias <- spatial_in.b
{RESAMPLER}.spatial_linear.fc2.weight <- spatial_out.w
{RESAMPLER}.spatial_linear.fc2.bias <- spatial_out.b
{RESAMPLER}.spatial_linear.ln.weight <- spatial_norm.w
{RESAMPLER}.spatial_linear.ln.bias <- spatial_norm.b
{RESAMPLER}.temporal_linear.fc1.weight <- temporal_in.w
{RESAMPLER}.temporal_linear.fc1.bias <- temporal_in.b
{RESAMPLER}.temporal_linear.fc2.weight <- temporal_out.w
{RESAMPLER}.temporal_linear.fc2.bias <- temporal_out.b
{RESAMPLER}.temporal_linear.ln.weight <- temporal_norm.w
{RESAMPLER}.temporal_linear.ln.bias <- temporal_norm.b
{RESAMPLER}.mlp.weight <- projector.w
{RESAMPLER}.mlp.bias <- projector.b
{RESAMPLER}.after_norm.weight <- projector_norm.w
""" + BLOCKS.replace(PLACE, VISION)
