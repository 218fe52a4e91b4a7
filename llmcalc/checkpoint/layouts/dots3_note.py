"""dots3.note: its tower of mixtures, and its encoder of sound."""

SEEN, HEARD = "model.vision_tower", "model.audio_tower"
BLOCK, LAYER = f"{SEEN}.blocks.{{i}}", f"{HEARD}.layers.{{i}}"
VISION = f"""
{SEEN}.patch_embed.proj.weight <- patch.w | vision
{SEEN}.patch_embed.proj.bias <- patch.b | vision
{SEEN}.patch_embed.norm.weight <- patch_norm.w
{BLOCK}.norm1.weight <- attention/pre_norm.w | vision
{BLOCK}.attn.qkv.weight <- attention.wq attention.wk attention.wv | vision
{BLOCK}.attn.qkv.bias <- attention.bq attention.bk attention.bv | vision
{BLOCK}.attn.proj.weight <- attention.wo | vision
{BLOCK}.attn.proj.bias <- attention.bo | vision
{BLOCK}.attn.q_norm.weight <- attention.q_norm | vision
{BLOCK}.attn.k_norm.weight <- attention.k_norm | vision
{BLOCK}.norm2.weight <- mlp/pre_norm.w | vision
{BLOCK}.mlp.gate_proj.weight <- mlp.wg | vision
{BLOCK}.mlp.gate_proj.bias <- mlp.bg | vision
{BLOCK}.mlp.up_proj.weight <- mlp.wu | vision
{BLOCK}.mlp.up_proj.bias <- mlp.bu | vision
{BLOCK}.mlp.down_proj.weight <- mlp.wd | vision
{BLOCK}.mlp.down_proj.bias <- mlp.bd | vision
{BLOCK}.mlp.gate.weight <- moe.router | vision
{BLOCK}.mlp.e_score_correction_bias <- moe.correction | vision
{BLOCK}.mlp.experts.gate_up_proj <- moe.wg moe.wu | vision
{BLOCK}.mlp.experts.down_proj <- moe.wd | vision
{SEEN}.norm.weight <- norm.w | vision
{SEEN}.merger.ln_q.weight <- merger_norm.w
{SEEN}.merger.ln_q.bias <- merger_norm.b
{SEEN}.merger.mlp.0.weight <- merger_in.w
{SEEN}.merger.mlp.0.bias <- merger_in.b
{SEEN}.merger.mlp.2.weight <- merger_out.w
{SEEN}.merger.mlp.2.bias <- merger_out.b
"""
PLANES = "\n".join(
    f"{HEARD}.conv_stem.convs.{number}.{kind} <- plane{number}.{kind[0]}"
    for number in range(3)
    for kind in ("weight", "bias")
)
AUDIO = f"""
{PLANES}
{HEARD}.conv_stem.conv_out.weight <- plane_out.w
{LAYER}.input_layernorm.weight <- attention/pre_norm.w | audio
{LAYER}.self_attn.q_proj.weight <- attention.wq | audio
{LAYER}.self_attn.q_proj.bias <- attention.bq | audio
{LAYER}.self_attn.k_proj.weight <- attention.wk | audio
{LAYER}.self_attn.v_proj.weight <- attention.wv | audio
{LAYER}.self_attn.v_proj.bias <- attention.bv | audio
{LAYER}.self_attn.o_proj.weight <- attention.wo | audio
{LAYER}.self_attn.o_proj.bias <- attention.bo | audio
{LAYER}.post_attention_layernorm.weight <- mlp/pre_norm.w | audio
{LAYER}.mlp.gate_up_proj.weight <- mlp.wg mlp.wu | audio
{LAYER}.mlp.gate_up_proj.bias <- mlp.bg mlp.bu | audio
{LAYER}.mlp.down_proj.weight <- mlp.wd | audio
{LAYER}.mlp.down_proj.bias <- mlp.bd | audio
{HEARD}.layer_norm.weight <- norm.w | audio
{HEARD}.adapter.norm.weight <- adapter_norm.w
{HEARD}.adapter.norm.bias <- adapter_norm.b
{HEARD}.adapter.fc1.weight <- adapter_in.w
{HEARD}.adapter.fc1.bias <- adapter_in.b
{HEARD}.adapter.fc2.weight <- adapter_out.w
{HEARD}.adapter.fc2.bias <- adapter_out.b
"""
TEXT = VISION + AUDIO
