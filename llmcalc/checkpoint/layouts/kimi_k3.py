"""Kimi K3: as published, experts one by one; transformers has no class of it."""

from .deepseek_v3 import MLA
from .kimi_linear import KDA

PREFIX = "language_model.model."

OWN = """
{p}.f_a_proj.weight <- kda.wa_in
{p}.f_b_proj.weight <- kda.wa
{p}.A_log <- kda.A_log
{p}.g_proj.weight <- kda.wz
{p}.g_proj.weight <- mla.wgate
"""
RENAMED = (
    (".conv1d.weight <- kda.conv_q kda.conv_k kda.conv_v", ".q_conv1d.weight <- kda.conv_q"),
    (".forget_gate.", "."),
)
CONVOLUTIONS = """
{p}.k_conv1d.weight <- kda.conv_k
{p}.v_conv1d.weight <- kda.conv_v
"""
OUTER = """
model.embed_tokens.weight <- token.w
model.norm.weight <- norm.w
model.output_attn_res_norm.weight <- attention_residual.norm
model.output_attn_res_proj.weight <- attention_residual.w
lm_head.weight <- head.w
model.layers.{i}.input_layernorm.weight <- linear/linear_pre_norm.w
model.layers.{i}.input_layernorm.weight <- attention/attention_pre_norm.w
model.layers.{i}.post_attention_layernorm.weight <- mlp/mlp_pre_norm.w
"""
MLP = """
model.layers.{i}.mlp.gate_proj.weight <- mlp.wg
model.layers.{i}.mlp.up_proj.weight <- mlp.wu
model.layers.{i}.mlp.down_proj.weight <- mlp.wd
model.layers.{i}.mlp_res_norm.weight <- mlp/attention_residual.norm
model.layers.{i}.mlp_res_proj.weight <- mlp/attention_residual.w
model.layers.{i}.self_attention_res_norm.weight <- linear/attention_residual.norm
model.layers.{i}.self_attention_res_proj.weight <- linear/attention_residual.w
model.layers.{i}.self_attention_res_norm.weight <- attention/attention_residual.norm
model.layers.{i}.self_attention_res_proj.weight <- attention/attention_residual.w
"""
EXPERTS = """
{m}.gate.weight <- moe.router
{m}.gate.e_score_correction_bias <- moe.correction
{m}.experts.{x}.w1.weight <- moe.wg
{m}.experts.{x}.w3.weight <- moe.wu
{m}.experts.{x}.w2.weight <- moe.wd
{m}.routed_expert_down_proj.weight <- moe.w_in
{m}.routed_expert_up_proj.weight <- moe.w_out
{m}.routed_expert_norm.weight <- moe.latent_norm
{m}.shared_experts.gate_proj.weight <- moe.shared.wg
{m}.shared_experts.up_proj.weight <- moe.shared.wu
{m}.shared_experts.down_proj.weight <- moe.shared.wd
"""
VISION = """
vision_tower.patch_embed.proj.weight <- patch.w
vision_tower.patch_embed.pos_emb.weight <- position.w
vision_tower.encoder.blocks.{i}.norm0.weight <- sublayer0.pre_norm.w | tower
vision_tower.encoder.blocks.{i}.norm1.weight <- sublayer1.pre_norm.w | tower
vision_tower.encoder.blocks.{i}.wqkv.weight <- attention.wq attention.wk attention.wv
vision_tower.encoder.blocks.{i}.wo.weight <- attention.wo
vision_tower.encoder.blocks.{i}.mlp.fc0.weight <- mlp.wu | tower
vision_tower.encoder.blocks.{i}.mlp.fc1.weight <- mlp.wd | tower
vision_tower.encoder.final_layernorm.weight <- norm.w | tower
mm_projector.proj.0.weight <- projector_in.w
mm_projector.proj.2.weight <- projector_out.w
mm_projector.post_norm.weight <- projector_norm.w
"""
KDA_RULES = KDA + CONVOLUTIONS + OWN
for old, new in RENAMED:
    KDA_RULES = KDA_RULES.replace(old, new)
LANGUAGE = OUTER + MLA + MLP + KDA_RULES.replace("{p}", "model.layers.{i}.self_attn")
LANGUAGE += EXPERTS.replace("{m}", "model.layers.{i}.block_sparse_moe")
TEXT = VISION + "\n".join(f"language_model.{line}" for line in LANGUAGE.splitlines() if line.strip())
