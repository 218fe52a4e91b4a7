"""Qwen-Omni's thinker within a model that speaks, under a name of its own, and what speaks beside it."""

from .beside import beside, of_stack
from .llama import ATTENTION, MLP, NORMS
from .mixtral import EXPERTS
from .qwen3_next import SHARED

BEHIND = "thinker."
ALL = True
BLOCKS = NORMS + ATTENTION + MLP
TALKER = f"""
{BLOCKS}
{EXPERTS}
{SHARED}
thinker_to_talker_proj.weight <- thought.w
thinker_to_talker_proj.bias <- thought.b
text_projection.linear_fc1.weight <- text_in.w
text_projection.linear_fc1.bias <- text_in.b
text_projection.linear_fc2.weight <- text_out.w
text_projection.linear_fc2.bias <- text_out.b
hidden_projection.linear_fc1.weight <- hidden_in.w
hidden_projection.linear_fc1.bias <- hidden_in.b
hidden_projection.linear_fc2.weight <- hidden_out.w
hidden_projection.linear_fc2.bias <- hidden_out.b
model.norm.weight <- norm.w
codec_head.weight <- codec_head.w
"""
PREDICTOR = f"""
{BLOCKS}
model.norm.weight <- norm.w
model.codec_embedding.{{t}}.weight <- codes.w
lm_head.{{t}}.weight <- code_head.w
"""


def text(codes: str) -> str:
    """The rules of what speaks, where the talker's table is called so."""
    return (
        of_stack("talker", "talker.", f"{TALKER}{codes}.weight <- codes.w\n")
        + of_stack("code_predictor", "talker.code_predictor.", PREDICTOR)
        + beside("token2wav", "token2wav.")
        + beside("code2wav", "code2wav.")
    )


TEXT = text("model.embed_tokens")
