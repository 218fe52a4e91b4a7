"""GLM-ASR's encoder: Whisper's, in LLaMA's names."""

from .whisper_encoder import ATTENTION, AUDIO, FRONT, LAYER, MLP, NORMS, PROJECTORS

OUTER = f"""
{AUDIO}.norm.weight <- post_norm.w
{AUDIO}.norm.bias <- post_norm.b
"""
BLOCKS = (
    ATTENTION.replace("out_proj", "o_proj")
    + NORMS.replace("self_attn_layer_norm", "input_layernorm").replace("final_layer_norm", "post_attention_layernorm")
    + MLP.replace(LAYER, f"{LAYER}.mlp")
)
TEXT = FRONT + BLOCKS + OUTER + PROJECTORS
