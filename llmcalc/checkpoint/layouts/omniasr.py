"""OmniASR: the encoder of wav2vec 2.0."""

from .whisper_encoder import ATTENTION, AUDIO, MLP, NORMS, PROJECTOR

FRONT = f"""
{AUDIO}.subsampling.conv_layers.{{t}}.conv.weight <- wave.w
{AUDIO}.subsampling.conv_layers.{{t}}.conv.bias <- wave.b
{AUDIO}.subsampling.conv_layers.{{t}}.layer_norm.weight <- wave_norm.w
{AUDIO}.subsampling.conv_layers.{{t}}.layer_norm.bias <- wave_norm.b
{AUDIO}.subsampling.layer_norm.weight <- projected_norm.w
{AUDIO}.subsampling.layer_norm.bias <- projected_norm.b
{AUDIO}.subsampling.projection.weight <- wave_out.w
{AUDIO}.subsampling.projection.bias <- wave_out.b
{AUDIO}.encode_positions.conv.weight <- position.w | audio
{AUDIO}.encode_positions.conv.bias <- position.b | audio
"""
BLOCKS = (
    ATTENTION.replace("self_attn", "attention")
    + NORMS.replace("self_attn_layer_norm", "layer_norm")
    + MLP.replace("fc1", "feed_forward.intermediate_dense").replace("fc2", "feed_forward.output_dense")
)
OUTER = f"""
{AUDIO}.layer_norm.weight <- post_norm.w | audio
{AUDIO}.layer_norm.bias <- post_norm.b | audio
{PROJECTOR}.weight <- projector.w
{PROJECTOR}.bias <- projector.b
"""
TEXT = FRONT + BLOCKS + OUTER
