"""MiniCPM-V 4.6's tower with a merger within it, and the merger behind it."""

from .clip import ENCODER, VISION

WITHIN, BEHIND_IT = f"{VISION}.vit_merger", "model.merger.mlp.{t}"
TEXT = (
    f"""
{WITHIN}.layer_norm1.weight <- within_norm.w
{WITHIN}.layer_norm1.bias <- within_norm.b
{WITHIN}.self_attn.q_proj.weight <- within.wq
{WITHIN}.self_attn.q_proj.bias <- within.bq
{WITHIN}.self_attn.k_proj.weight <- within.wk
{WITHIN}.self_attn.k_proj.bias <- within.bk
{WITHIN}.self_attn.v_proj.weight <- within.wv
{WITHIN}.self_attn.v_proj.bias <- within.bv
{WITHIN}.self_attn.out_proj.weight <- within.wo
{WITHIN}.self_attn.out_proj.bias <- within.bo
{WITHIN}.pre_norm.weight <- within_merged_norm.w
{WITHIN}.pre_norm.bias <- within_merged_norm.b
{WITHIN}.linear_1.weight <- within_in.w
{WITHIN}.linear_1.bias <- within_in.b
{WITHIN}.linear_2.weight <- within_out.w
{WITHIN}.linear_2.bias <- within_out.b
{BEHIND_IT}.pre_norm.weight <- merger_norm.w
{BEHIND_IT}.pre_norm.bias <- merger_norm.b
{BEHIND_IT}.linear_1.weight <- merger_in.w
{BEHIND_IT}.linear_1.bias <- merger_in.b
{BEHIND_IT}.linear_2.weight <- merger_out.w
{BEHIND_IT}.linear_2.bias <- merger_out.b
"""
    + ENCODER
)
