"""Voxtral Realtime's encoder: Whisper's, with gated layers."""

from .glmasr import OUTER
from .whisper_encoder import ATTENTION, AUDIO, FRONT, LAYER, NORMS, PROJECTORS

GATED = f"""
{LAYER}.mlp.gate_proj.weight <- mlp.wg | audio
{LAYER}.mlp.up_proj.weight <- mlp.wu | audio
{LAYER}.mlp.down_proj.weight <- mlp.wd | audio
{LAYER}.mlp.down_proj.bias <- mlp.bd | audio
"""
BLOCKS = ATTENTION.replace("out_proj", "o_proj") + NORMS + GATED
TEXT = FRONT.replace(f"{AUDIO}.conv", f"{AUDIO}.embedder.conv") + BLOCKS + OUTER + PROJECTORS
