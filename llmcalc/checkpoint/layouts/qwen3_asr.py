"""Qwen3-ASR's encoder: Whisper's blocks behind convolutions over time and frequency."""

from .whisper_encoder import AUDIO, BLOCKS, PROJECTORS

FRONT = f"""
{AUDIO}.conv2d{{t}}.weight <- plane.w
{AUDIO}.conv2d{{t}}.bias <- plane.b
{AUDIO}.conv_out.weight <- plane_out.w
"""
OUTER = f"""
{AUDIO}.ln_post.weight <- post_norm.w | audio
{AUDIO}.ln_post.bias <- post_norm.b | audio
"""
TEXT = FRONT + BLOCKS + OUTER + PROJECTORS
