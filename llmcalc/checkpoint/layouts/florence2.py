"""Florence-2: DaViT's stages, which go by the numbers that end the names of their stacks, and a projector."""

TOWER, PROJECTOR = "model.vision_tower", "model.multi_modal_projector"
STAGES = 16  # at most


def _stage(number: int) -> str:
    place = f"| stage{number}"
    conv, block = f"{TOWER}.convs.{number}", f"{TOWER}.blocks.{number}.{{i}}"
    lines = [
        f"{conv}.conv.weight <- patch.w {place}",
        f"{conv}.conv.bias <- patch.b {place}",
        f"{conv}.norm.weight <- patch_norm.w {place}",
        f"{conv}.norm.bias <- patch_norm.b {place}",
        f"{TOWER}.convs.{number + 1}.norm.weight <- next_norm.w {place}",
        f"{TOWER}.convs.{number + 1}.norm.bias <- next_norm.b {place}",
    ]
    for part, kind, stored in (
        ("spatial", "attention", "window_attn"), ("channel", "channel_attention", "channel_attn")
    ):  # fmt: skip
        inner = f"{block}.{part}_block"
        for name, conv_name in (("near", "conv1"), ("then", "conv2")):
            lines += [
                f"{inner}.{conv_name}.weight <- {part}_{name}/patch.w {place}",
                f"{inner}.{conv_name}.bias <- {part}_{name}/patch.b {place}",
            ]
        for name, norm in (("attention", "norm1"), ("mlp", "norm2")):
            lines += [
                f"{inner}.{norm}.weight <- {part}_{name}/pre_norm.w {place}",
                f"{inner}.{norm}.bias <- {part}_{name}/pre_norm.b {place}",
            ]
        lines += [
            f"{inner}.{stored}.qkv.weight <- {kind}.wq {kind}.wk {kind}.wv {place}",
            f"{inner}.{stored}.qkv.bias <- {kind}.bq {kind}.bk {kind}.bv {place}",
            f"{inner}.{stored}.proj.weight <- {kind}.wo {place}",
            f"{inner}.{stored}.proj.bias <- {kind}.bo {place}",
            f"{inner}.ffn.fc1.weight <- {part}_mlp/mlp.wu {place}",
            f"{inner}.ffn.fc1.bias <- {part}_mlp/mlp.bu {place}",
            f"{inner}.ffn.fc2.weight <- {part}_mlp/mlp.wd {place}",
            f"{inner}.ffn.fc2.bias <- {part}_mlp/mlp.bd {place}",
        ]
    return "\n".join(lines)


TEXT = (
    "\n".join(map(_stage, range(STAGES)))
    + f"""
{PROJECTOR}.image_projection.weight <- projector.w
{PROJECTOR}.image_proj_norm.weight <- projector_norm.w
{PROJECTOR}.image_proj_norm.bias <- projector_norm.b
{PROJECTOR}.image_position_embed.row_embeddings.weight <- rows.w
{PROJECTOR}.image_position_embed.column_embeddings.weight <- columns.w
{PROJECTOR}.visual_temporal_embed.pos_idx_to_embed <- times.w
"""
)
