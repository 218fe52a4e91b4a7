"""Fun-ASR-Nano's encoder under ``model.audio_tower``, its adaptor under ``model.multi_modal_projector``."""

from .glmasr import BLOCKS
from .whisper_encoder import AUDIO, PROJECTOR, PROJECTORS

MEMORY = f"""
{AUDIO}.layers.{{i}}.self_attn.fsmn.conv.weight <- conv.w | audio
{AUDIO}.layers.{{i}}.final_layernorm.weight <- mlp/norm.w | audio
{AUDIO}.layers.{{i}}.final_layernorm.bias <- mlp/norm.b | audio
"""
ADAPTOR = BLOCKS.replace(AUDIO, PROJECTOR).replace("| audio", "| adaptor")
TEXT = BLOCKS + MEMORY + PROJECTORS + ADAPTOR
