"""The Conformer of Gemma 4, under ``model.audio_tower``."""

AUDIO = "model.audio_tower"
LAYER = f"{AUDIO}.layers.{{i}}"
_FEED = """
{l}.{m}.pre_layer_norm.weight <- {s}/pre_norm.w
{l}.{m}.ffw_layer_1.linear.weight <- {s}/mlp.wu
{l}.{m}.ffw_layer_2.linear.weight <- {s}/mlp.wd
{l}.{m}.post_layer_norm.weight <- {s}/post_norm.w
"""


def feeds(first: str, second: str) -> str:
    """Both halves of the feed-forward layer, by the names that they go by."""
    return "".join(
        _FEED.replace("{l}", LAYER).replace("{m}", stored).replace("{s}", name)
        for stored, name in ((first, "start"), (second, "end"))
    )


FRONT = f"""
{AUDIO}.subsample_conv_projection.layer{{t}}.conv.weight <- plane.w
{AUDIO}.subsample_conv_projection.layer{{t}}.norm.weight <- plane_norm.w
{AUDIO}.subsample_conv_projection.input_proj_linear.weight <- plane_out.w
"""
ATTENTION = f"""
{LAYER}.self_attn.per_dim_scale <- context_attention.q_scale
{LAYER}.self_attn.q_proj.linear.weight <- context_attention.wq
{LAYER}.self_attn.k_proj.linear.weight <- context_attention.wk
{LAYER}.self_attn.v_proj.linear.weight <- context_attention.wv
{LAYER}.self_attn.relative_k_proj.weight <- context_attention.wr
{LAYER}.self_attn.post.linear.weight <- context_attention.wo
{LAYER}.norm_pre_attn.weight <- attention/pre_norm.w | audio
{LAYER}.norm_post_attn.weight <- attention/post_norm.w | audio
"""
MODULE = f"""
{LAYER}.lconv1d.pre_layer_norm.weight <- conv/pre_norm.w
{LAYER}.lconv1d.linear_start.linear.weight <- conv_module.wv conv_module.wg
{LAYER}.lconv1d.depthwise_conv1d.weight <- conv_module.conv
{LAYER}.lconv1d.conv_norm.weight <- conv_module.norm
{LAYER}.lconv1d.linear_end.linear.weight <- conv_module.wo
{LAYER}.norm_out.weight <- end/norm.w
"""
OUTER = f"""
{AUDIO}.output_proj.weight <- audio_out.w
{AUDIO}.output_proj.bias <- audio_out.b
model.embed_audio.embedding_projection.weight <- audio_projector.w
"""
TEXT = FRONT + feeds("feed_forward1", "feed_forward2") + ATTENTION + MODULE + OUTER
