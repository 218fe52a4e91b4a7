"""Qwen3-Omni: Qwen3-ASR's encoder and Qwen3-VL's tower, whose mergers have other names."""

from .qwen3_asr import FRONT, OUTER
from .qwen3_vl import MERGER, MOST_DEEPSTACK, TOWER, VISUAL
from .whisper_encoder import AUDIO, BLOCKS

ENDING = f"""
{AUDIO}.proj1.weight <- projector_in.w
{AUDIO}.proj1.bias <- projector_in.b
{AUDIO}.proj2.weight <- projector_out.w
{AUDIO}.proj2.bias <- projector_out.b
"""
_MERGER = MERGER.replace(".norm.", ".ln_q.").replace("linear_fc1", "mlp.0").replace("linear_fc2", "mlp.2")
MERGERS = _MERGER.replace("{m}", f"{VISUAL}.merger").replace("{n}", "merger") + "".join(
    _MERGER.replace("{m}", f"{VISUAL}.merger_list.{number}").replace("{n}", f"deepstack{number}")
    for number in range(MOST_DEEPSTACK)
)
TEXT = FRONT + BLOCKS + OUTER + ENDING + TOWER + MERGERS
