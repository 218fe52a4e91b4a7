"""Phi-4-multimodal: SigLIP's tower and a Conformer under ``model.embed_tokens_extend``."""

from .clip import ENCODER, VISION

BEHIND = "model."
IMAGE, SOUND = (f"model.embed_tokens_extend.{name}_embed" for name in ("image", "audio"))
LAYER = f"{SOUND}.encoder.encoders.{{i}}"
SEEN = (
    ENCODER.replace(VISION, f"{IMAGE}.img_processor").replace("| tower", "| vision")
    + f"""
{IMAGE}.global_img_feature_extensor <- whole.w | flat row row
{IMAGE}.sub_img_feature_extensor <- part.w | flat row row row
{IMAGE}.img_projection_up.weight <- projector_in.w
{IMAGE}.img_projection_up.bias <- projector_in.b
{IMAGE}.img_projection_down.weight <- projector_out.w
{IMAGE}.img_projection_down.bias <- projector_out.b
"""
)
_FEED = """
{l}.{m}.layer_norm.weight <- {s}/pre_norm.w
{l}.{m}.layer_norm.bias <- {s}/pre_norm.b
{l}.{m}.gate_up_proj.weight <- {s}/mlp.wu {s}/mlp.wg
{l}.{m}.gate_up_proj.bias <- {s}/mlp.bu {s}/mlp.bg
{l}.{m}.down_proj.weight <- {s}/mlp.wd
{l}.{m}.down_proj.bias <- {s}/mlp.bd
"""
FEEDS = "".join(
    _FEED.replace("{l}", LAYER).replace("{m}", stored).replace("{s}", name)
    for stored, name in (("feed_forward_in", "start"), ("feed_forward_out", "end"))
)
ATTENTION = "".join(
    f"""
{LAYER}.self_attn.{name}_proj.weight <- attention.w{name} | audio
{LAYER}.self_attn.{name}_proj.bias <- attention.b{name} | audio"""
    for name in "qkvo"
)
MODULE = f"""
{LAYER}.conv.layer_norm.weight <- conv/pre_norm.w
{LAYER}.conv.layer_norm.bias <- conv/pre_norm.b
{LAYER}.conv.glu.b1 <- conv_module.gate_bv | row column
{LAYER}.conv.glu.b2 <- conv_module.gate_bg | row column
{LAYER}.conv.glu.ext_pw_conv_1d.weight <- conv_module.wv conv_module.wg
{LAYER}.conv.glu.ext_pw_conv_1d.bias <- conv_module.bv conv_module.bg
{LAYER}.conv.dw_sep_conv_1d.dw_conv.weight <- conv_module.conv
{LAYER}.conv.dw_sep_conv_1d.dw_conv.bias <- conv_module.conv_b
{LAYER}.conv.dw_sep_conv_1d.pw_conv.weight <- conv_module.mix
{LAYER}.conv.dw_sep_conv_1d.pw_conv.bias <- conv_module.mix_b
{LAYER}.conv.ext_pw_conv_1d.weight <- conv_module.wo
{LAYER}.conv.ext_pw_conv_1d.bias <- conv_module.bo
"""
HEARD = f"""
{SOUND}.encoder.embed.conv.{{t}}.weight <- plane.w
{SOUND}.encoder.embed.conv.{{t}}.bias <- plane.b
{SOUND}.encoder.embed.out.weight <- plane_out.w
{SOUND}.encoder.embed.out.bias <- plane_out.b
{SOUND}.encoder.relative_attention_bias_layer.bias_values.weight <- attention.relative_bias | audio
{LAYER}.layer_norm_att.weight <- attention/pre_norm.w | audio
{LAYER}.layer_norm_att.bias <- attention/pre_norm.b | audio
{LAYER}.layer_norm.weight <- end/norm.w
{LAYER}.layer_norm.bias <- end/norm.b
{SOUND}.up_proj_for_speech.weight <- speech_up.w
{SOUND}.up_proj_for_speech.bias <- speech_up.b
{SOUND}.down_proj_for_speech.weight <- speech_down.w
{SOUND}.down_proj_for_speech.bias <- speech_down.b
{SOUND}.up_proj_for_vision_speech.weight <- vision_speech_up.w
{SOUND}.up_proj_for_vision_speech.bias <- vision_speech_up.b
{SOUND}.down_proj_for_vision_speech.weight <- vision_speech_down.w
{SOUND}.down_proj_for_vision_speech.bias <- vision_speech_down.b
"""
TEXT = HEARD + FEEDS + ATTENTION + MODULE + SEEN
