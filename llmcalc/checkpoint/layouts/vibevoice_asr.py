"""VibeVoice-ASR: two encoders of the wave, whose stages go by the names of their stacks, and their projectors."""

STAGE = "model.{side}.stage.{i}"
ENCODERS = f"""
model.{{side}}.conv.conv.weight <- down.w | tower
model.{{side}}.conv.conv.bias <- down.b | tower
model.{{side}}.conv.weight <- latent.w
model.{{side}}.conv.bias <- latent.b
{STAGE}.gamma <- mixer/scale.w | tower
{STAGE}.ffn_gamma <- mlp/scale.w | tower
{STAGE}.norm.weight <- mixer/pre_norm.w | tower
{STAGE}.ffn_norm.weight <- mlp/pre_norm.w | tower
{STAGE}.ffn.linear1.weight <- mlp.wu | tower
{STAGE}.ffn.linear1.bias <- mlp.bu | tower
{STAGE}.ffn.linear2.weight <- mlp.wd | tower
{STAGE}.ffn.linear2.bias <- mlp.bd | tower
{STAGE}.mixer.conv.weight <- mixer/conv.w | tower
{STAGE}.mixer.conv.bias <- mixer/conv.b | tower
"""
PROJECTORS = "".join(
    f"""
model.multi_modal_projector.{name}_linear_1.weight <- {name}_in.w
model.multi_modal_projector.{name}_linear_1.bias <- {name}_in.b
model.multi_modal_projector.{name}_norm.weight <- {name}_norm.w
model.multi_modal_projector.{name}_linear_2.weight <- {name}_out.w
model.multi_modal_projector.{name}_linear_2.bias <- {name}_out.b"""
    for name in ("acoustic", "semantic")
)
TEXT = ENCODERS + PROJECTORS
