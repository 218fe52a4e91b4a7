"""SpeechT5: BART's blocks, each side within a wrapper, and what stands before and behind it."""

from . import bart

PREFIX = "speecht5."
_PRENET = "speecht5.encoder.prenet"
_WAVE = f"{_PRENET}.feature_encoder.conv_layers.{{t}}"
_ENCODER = "speecht5.encoder.wrapped_encoder"
_OUTER = f"""
speecht5.decoder.prenet.embed_tokens.weight <- token.w
text_decoder_postnet.lm_head.weight <- head.w
{_WAVE}.conv.weight <- wave.w
{_WAVE}.conv.bias <- wave.b
{_WAVE}.layer_norm.weight <- wave.norm
{_WAVE}.layer_norm.bias <- wave.norm_b
{_PRENET}.feature_projection.layer_norm.weight <- projected_norm.w
{_PRENET}.feature_projection.layer_norm.bias <- projected_norm.b
{_PRENET}.feature_projection.projection.weight <- wave_out.w
{_PRENET}.feature_projection.projection.bias <- wave_out.b
{_PRENET}.masked_spec_embed <- masked.t
{_PRENET}.pos_conv_embed.conv.parametrizations.weight.original0 <- wave_lengths.t
{_PRENET}.pos_conv_embed.conv.parametrizations.weight.original1 <- wave_position.w
{_PRENET}.pos_conv_embed.conv.weight_g <- wave_lengths.t
{_PRENET}.pos_conv_embed.conv.weight_v <- wave_position.w
{_PRENET}.pos_conv_embed.conv.bias <- wave_position.b
{_ENCODER}.layer_norm.weight <- norm.w
{_ENCODER}.layer_norm.bias <- norm.b
{_ENCODER}.embed_positions.pe_k.weight <- distance.t
"""
_MLP = bart.MLP.replace("fc1", "feed_forward.intermediate_dense").replace("fc2", "feed_forward.output_dense")


def _norm(of: str, what: str) -> str:
    return "".join(f"model.{{side}}.layers.{{i}}.{of}.{kind} <- {what}/norm.{kind[0]}\n" for kind in ("weight", "bias"))


def _of(side: str, lines: str) -> str:
    return "".join(f"{line} | {side}\n" for line in lines.split("\n") if line)


_BLOCKS = (
    _of("encoder", bart.ATTENTION.replace("self_attn", "attention") + _norm("layer_norm", "attention"))
    + _of("decoder", bart.ATTENTION + _norm("self_attn_layer_norm", "attention"))
    + bart.CROSS
    + _norm("encoder_attn_layer_norm", "cross_attention")
    + _MLP
    + _norm("final_layer_norm", "mlp")
)
TEXT = _OUTER + _BLOCKS.replace("model.{side}", "speecht5.{side}.wrapped_{side}")
