"""Nemotron 3 Nano Omni: RADIO's tower, a FastConformer, and what leads from each to the language model."""

from .parakeet import conformer

BEHIND = "language_model."
ALL = True
LAYER = "vision_model.encoder.layer.{i}"
_PROJECTOR = """
{p}.layer_norm.weight <- {n}_projector_norm.w
{p}.linear_1.weight <- {n}_projector_in.w
{p}.linear_1.bias <- {n}_projector_in.b
{p}.linear_2.weight <- {n}_projector_out.w
{p}.linear_2.bias <- {n}_projector_out.b
"""
PROJECTORS = "".join(
    _PROJECTOR.replace("{p}", place).replace("{n}", name)
    for place, name in (("multi_modal_projector", "vision"), ("embed_audio", "audio"))
)
ATTENTION = "".join(
    f"{LAYER}.attention.{name}_proj.{kind} <- attention.{letter}{name} | vision\n"
    for name in "qkvo"
    for kind, letter in (("weight", "w"), ("bias", "b"))
)
TEXT = f"""
vision_model.embeddings.patch_projection.weight <- patch.w | vision
vision_model.embeddings.video_patch_projection.weight <- film.w | vision
vision_model.embeddings.position_embedding <- position.w | vision row
vision_model.embeddings.cls_register_token <- prefix.w | vision
{LAYER}.norm1.weight <- attention/pre_norm.w | vision
{LAYER}.norm1.bias <- attention/pre_norm.b | vision
{LAYER}.layer_scale1.lambda1 <- attention/scale.w | vision
{LAYER}.norm2.weight <- mlp/pre_norm.w | vision
{LAYER}.norm2.bias <- mlp/pre_norm.b | vision
{LAYER}.layer_scale2.lambda1 <- mlp/scale.w | vision
{LAYER}.mlp.gate_proj.weight <- mlp.wg | vision gated
{LAYER}.mlp.gate_proj.bias <- mlp.bg | vision gated
{LAYER}.mlp.up_proj.weight <- mlp.wu | vision gated
{LAYER}.mlp.up_proj.bias <- mlp.bu | vision gated
{LAYER}.mlp.down_proj.weight <- mlp.wd | vision gated
{LAYER}.mlp.down_proj.bias <- mlp.bd | vision gated
{LAYER}.mlp.fc1.weight <- mlp.wu | vision
{LAYER}.mlp.fc1.bias <- mlp.bu | vision
{LAYER}.mlp.fc2.weight <- mlp.wd | vision
{LAYER}.mlp.fc2.bias <- mlp.bd | vision
vision_final_layernorm.weight <- vision_norm.w
vision_final_layernorm.bias <- vision_norm.b
{ATTENTION}
{PROJECTORS}
{conformer("audio_tower.", "audio")}
"""
