"""Qwen2.5-Omni: Whisper's encoder and Qwen2.5-VL's tower, whose queries, keys and values are stored apart."""

from .qwen2_vl import BLOCK
from .qwen2_vl import TEXT as VISION
from .qwen3_asr import OUTER
from .whisper_encoder import AUDIO, BLOCKS, FRONT

FUSED = tuple(line for line in VISION.splitlines() if "attn.qkv" in line)
APART = "".join(
    f"\n{BLOCK}.attn.{name}.{kind} <- attention.{letter}{name} | vision"
    for name in "qkv"
    for kind, letter in (("weight", "w"), ("bias", "b"))
)
ENDING = f"""
{AUDIO}.audio_bos_eos_token.weight <- edges.w
{AUDIO}.proj.weight <- projector.w
{AUDIO}.proj.bias <- projector.b
"""
SEEN = "\n".join(line for line in VISION.splitlines() if line not in FUSED) + APART
TEXT = FRONT + BLOCKS + OUTER + ENDING + SEEN
